//go:build !unix

package pgserver

import "syscall"

func owner(string) (*syscall.SysProcAttr, error) { return nil, ErrMissing }
