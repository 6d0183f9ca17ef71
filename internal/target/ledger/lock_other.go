//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package ledger

import (
	"os"

	"github.com/deployguardian/adg"
)

func tryLock(file *os.File) (bool, error) {
	return false, adg.Permanent(adg.Errorf(adg.Invalid, "lock %s: this system has no lock that programs can inherit", file.Name()))
}

func unlock(*os.File) error { return nil }
