package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// lock takes the data directory for this process until the file is closed, however the process ends.
func lock(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "lock the data directory: %w", err)
	}
	free, err := tryLock(file)
	if err != nil {
		return nil, errors.Join(adg.Errorf(adg.Unavailable, "lock the data directory %s: %w", dir, err), file.Close())
	}
	if !free {
		holder := holderOf(file)
		return nil, errors.Join(adg.Errorf(adg.Conflict, "the data directory %s is in use by %s: wait for it to end, stop it, or use another directory", dir, holder), file.Close())
	}
	writePID(file)
	return file, nil
}

// Private

func holderOf(file *os.File) string {
	text := make([]byte, 20)
	n, _ := file.ReadAt(text, 0) // an error leaves nothing to read: the holder has just begun
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return "another process"
	}
	return "process " + strconv.Itoa(pid)
}

// writePID tells others who holds the lock. A full disk keeps the number away, not the lock.
func writePID(file *os.File) {
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
}
