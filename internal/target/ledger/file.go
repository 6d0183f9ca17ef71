package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/deployguardian/adg"
)

// maxFile bounds what is read of a state file.
const maxFile = 1 << 20

// Load reads a state file into v; false: there is none yet. A file that cannot be understood is an error and never
// taken for an empty one: what it said may have been important.
func Load(path string, v any) (bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, adg.Errorf(adg.Unavailable, "read the target's state: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return false, adg.Errorf(adg.Unavailable, "read the target's state: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(v); err == nil && len(data) > maxFile {
		err = errors.New("it is larger than 1 MiB")
	}
	if err != nil {
		return false, adg.Permanent(adg.Errorf(adg.Invalid,
			"%s is damaged (%w): see what is live at the target, then move the file away", path, err))
	}
	return true, nil
}

// Save replaces a state file: whoever reads it sees the old one or the new one, and the new one is on disk when Save
// returns. One writer at a time: call it between Begin and End.
func Save(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return adg.Errorf(adg.Internal, "write the target's state: %w", err)
	}
	if err := replace(path, data); err != nil {
		return adg.Errorf(adg.Unavailable, "write the target's state: %w", err)
	}
	return nil
}

// Private

func replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp := path + ".new"
	if err := writeSynced(temp, data); err != nil {
		_ = os.Remove(temp) // the first error is the one that matters
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// syncDir makes the rename itself durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
