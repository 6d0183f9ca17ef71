// Command app is the shop that the tests run in containers: it answers with its version, and ends when it is told to.
package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "healthy" {
		return
	}
	if os.Getenv("CRASH") != "" {
		_, _ = os.Stderr.WriteString("the database is not there\n")
		os.Exit(3)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if os.Getenv("PORTS") == "" {
		<-stop
		return
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, os.Getenv("VERSION")+"\n")
		}),
	}
	go func() {
		if err := serve(server); err != http.ErrServerClosed {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(4)
		}
	}()
	<-stop
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = server.Shutdown(ctx)
}

// serve takes the port of the task's slot, which the test holds too, so that nobody else can have it.
func serve(server *http.Server) error {
	slot, err := strconv.Atoi(os.Getenv("SLOT"))
	if err != nil {
		return err
	}
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var refused error
		err := c.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, refused)
	}}
	l, err := share.Listen(context.Background(), "tcp", "127.0.0.1:"+strings.Split(os.Getenv("PORTS"), ",")[slot-1])
	if err != nil {
		return err
	}
	return server.Serve(l)
}
