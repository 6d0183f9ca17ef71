package learn

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/deployguardian/adg"
)

// Correction is a human's word on how a deployment really came out. The last one outweighs what was seen, and all of
// them stay on record.
type Correction struct {
	Deployment string    `json:"deployment"`
	Outcome    Outcome   `json:"outcome"`
	Actor      string    `json:"actor"`
	Reason     string    `json:"reason"`
	Incident   string    `json:"incident,omitempty"` // where the incident is written down
	At         time.Time `json:"at"`
}

// Correct puts a correction on record: a line at the end of a file that only grows. It is on disk when it returns.
func Correct(path string, c Correction) error {
	if c.Deployment == "" || c.Actor == "" || c.Reason == "" {
		return adg.Errorf(adg.Invalid, "a correction names the deployment, who makes it, and why")
	}
	if c.Incident != cleanTo(c.Incident, maxLink) {
		return adg.Errorf(adg.Invalid, "an incident is linked by its address or its name, at most %d bytes on one line", maxLink)
	}
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// Corrections are those on record, the oldest first; no file is none. A last line that was not written to its end is
// left out.
func Corrections(path string) ([]Correction, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	var all []Correction
	in := bufio.NewReaderSize(io.LimitReader(f, maxCorrections), 1<<16)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		var c Correction
		if err == nil {
			err = json.Unmarshal(line, &c)
		}
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "%s: line %d: %w", path, number, err)
		}
		all = append(all, c)
	}
}

// Private

// maxCorrections is how many bytes of corrections are read.
const maxCorrections = 64 << 20

// maxLink bounds the address of an incident.
const maxLink = 300

// corrected lets the last correction of a deployment count.
func corrected(d Deployment, c Correction) Deployment {
	why := fmt.Sprintf("corrected by %s on %s: %s", c.Actor, c.At.UTC().Format(time.DateOnly), c.Reason)
	if c.Incident != "" {
		why += ", incident " + c.Incident
	}
	d.Outcome, d.Why = c.Outcome, cleanTo(why, maxSentence)
	d.FailedAt = time.Time{}
	switch c.Outcome {
	case RolledBack, Blocked, Hotfixed, Incident:
		d.FailedAt = c.At.UTC()
	case Unknown, Success, Superseded:
	}
	return d
}
