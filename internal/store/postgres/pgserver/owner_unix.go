//go:build unix

package pgserver

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is whom the server runs as, in a session of its own: it refuses to be root, and is then the user that the
// distribution made for it, who gets the folder with what is in it.
func owner(dir string) (*syscall.SysProcAttr, error) {
	as := &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() != 0 {
		return as, nil
	}
	account, err := user.Lookup(Superuser)
	if err != nil {
		return nil, fmt.Errorf("find the user that PostgreSQL may run as: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return as, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(uid), int(gid))
	})
}
