//go:build unix

package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// life is the server's, from initdb until the test process, however it ends, lets go of the pipe. The databases sort
// text as people do, so that a column that wants the order of bytes has to say so.
const life = `
cd "$2"
"$1/initdb" -D "$2/data" -U "$4" -E UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=und \
	--auth-local=trust --auth-host=scram-sha-256 --pwfile="$2/password" --no-sync --no-instructions || exit 1
"$1/postgres" -D "$2/data" -k "$2" -p "$3" -h 127.0.0.1 -F -c full_page_writes=off -c max_connections=400 \
	-c shared_buffers=64MB -c autovacuum=off -c deadlock_timeout=100ms &
read -r nothing
kill -QUIT $!
wait $!
rm -rf "$2"`

// run starts the server and does not wait for it. What it says is in the file log.
func (s *server) run(bin string) error {
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	// Not of any test: the server is the whole process's.
	cmd := exec.CommandContext(context.Background(), "sh", "-c", life, "sh", bin, s.dir, strconv.Itoa(s.port), superuser)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() == 0 {
		if err := s.disown(cmd); err != nil {
			return err
		}
	}
	if s.alive, err = cmd.StdinPipe(); err != nil {
		return err
	}
	return cmd.Start()
}

// disown gives everything to the user that the distribution made for servers, since they refuse to run as root.
func (s *server) disown(cmd *exec.Cmd) error {
	account, err := user.Lookup(superuser)
	if err != nil {
		return fmt.Errorf("find the user that PostgreSQL may run as: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return err
	}
	for _, path := range []string{s.dir, filepath.Join(s.dir, "password"), filepath.Join(s.dir, "log")} {
		if err := os.Chown(path, int(uid), int(gid)); err != nil {
			return err
		}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}
