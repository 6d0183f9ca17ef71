// Package porttest finds ports of the loopback for the servers of tests that cannot be told to take any that is free, and
// for those that are started again at the same one.
package porttest

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// Free is a port that nobody listens on now, and that the system gives to nobody who asks for any: those begin at 32768
// on Linux. Processes beside each other begin their search in different places.
func Free() (string, error) {
	for range tries {
		n := first + (os.Getpid()*apart+int(asked.Add(1)))%count
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(n))
		if listener, err := net.Listen("tcp", address); err == nil {
			return strconv.Itoa(n), listener.Close()
		}
	}
	return "", errors.New("no port is free")
}

// Private

const (
	first = 10_000
	count = 22_000
	apart = 61 // no divisor of count: processes come to every place
	tries = 1000
)

var asked atomic.Uint32
