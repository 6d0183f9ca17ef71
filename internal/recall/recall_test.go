package recall

import "testing"

func TestTheNewestIsRememberedAndNoMoreThanTheLimit(t *testing.T) {
	m := New[int, string](3)
	for i := range 10 {
		m.Put(i, "first")
		m.Put(i, "second")
		if got, found := m.Get(i); !found || got != "second" {
			t.Fatalf("%d is %q, %v", i, got, found)
		}
		if want := min(i+1, 3); m.Len() != want {
			t.Fatalf("%d are remembered, want %d", m.Len(), want)
		}
	}
	m.Drop(9)
	if _, found := m.Get(9); found || m.Len() != 2 {
		t.Errorf("it was dropped, found %v, %d are left", found, m.Len())
	}
}
