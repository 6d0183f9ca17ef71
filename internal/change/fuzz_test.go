package change

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/deployguardian/adg/internal/change/gitread"
)

func FuzzLogOfGit(f *testing.F) {
	id := strings.Repeat("a", 40)
	zero := strings.Repeat("0", 40)
	header := "\x01" + id + "\x001600000000\x00a@b\x00n\x00fix\n\x00\x00"
	f.Add([]byte(header))
	f.Add([]byte(header + "\n:000000 100644 " + zero + " " + id + " A\x00a\tb\x001\t2\ta\tb\x00" + header))
	f.Add([]byte(header + "\n:100644 100644 " + id + " " + id + " R100\x00old\x00\x01new\x00-\t-\t\x00old\x00\x01new\x00"))
	f.Add([]byte(header + "\n:100644 160000 " + id + " " + zero + " T\x00-\x00"))
	f.Add([]byte("\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		commits, err := parseLog(nil, data)
		if err != nil {
			return
		}
		x := &Index{}
		x.reset("s", false)
		for _, c := range commits {
			if !gitread.IsObjectID(c.id) || c.at < 0 {
				t.Errorf("%+v", c)
			}
			for _, file := range c.files {
				if file.path == "" || file.old == "" || file.added < 0 || file.deleted < 0 {
					t.Errorf("%+v", file)
				}
			}
			x.fold(c, func(path string) string { return subsystemOf(nil, path) })
		}
		written, err := x.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := new(Index).UnmarshalBinary(written); err != nil {
			t.Errorf("an index cannot be read back: %v", err)
		}
	})
}

func FuzzStoredIndex(f *testing.F) {
	x := &Index{}
	x.reset("settings", true)
	x.fold(commit{author: author{id: 7}, at: 1_600_000_000, files: []fileChange{{status: 'A', path: "a/b", old: "a/b", added: 3}, {status: 'A', path: "a/c", old: "a/c"}}},
		func(path string) string { return subsystemOf(nil, path) })
	data, err := x.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		var x Index
		if x.UnmarshalBinary(data) != nil {
			return
		}
		again, err := x.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var y Index
		if err := y.UnmarshalBinary(again); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if third, _ := y.MarshalBinary(); !bytes.Equal(again, third) {
			t.Error("the index changes by being stored")
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte(knownPayload))
	f.Add([]byte(knownGitHub))
	f.Add([]byte(`{"files":[{"path":"a","added":9223372036854775807}],"commits":[{"at":"0001-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := FromPayload(data, nil)
		if err != nil {
			return
		}
		for name, value := range c.Measures {
			if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 && !strings.HasSuffix(name, "_delta") {
				t.Errorf("%s is %v", name, value)
			}
		}
		if e := c.Measures["entropy"]; e > 1+1e-9 {
			t.Errorf("entropy is %v", e)
		}
	})
}
