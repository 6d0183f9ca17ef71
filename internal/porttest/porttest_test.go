package porttest

import (
	"net"
	"strconv"
	"testing"
)

func TestAPortIsGivenOnceAndIsNoneThatTheSystemGives(t *testing.T) {
	given := map[string]bool{}
	for range 50 {
		port, err := Free()
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil || n < first || n >= first+count || given[port] {
			t.Errorf("%s is given, %v", port, err)
		}
		given[port] = true
	}
}

func TestAPortWhereSomebodyListensIsNotGiven(t *testing.T) {
	var taken []string
	for range 20 {
		port, err := Free()
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		taken = append(taken, port)
	}
	asked.Store(asked.Load() - uint32(len(taken))) // the search begins there again
	port, err := Free()
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range taken {
		if port == other {
			t.Errorf("%s is given, where somebody listens", port)
		}
	}
}
