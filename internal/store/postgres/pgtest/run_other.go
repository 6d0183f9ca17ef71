//go:build !unix

package pgtest

func (s *server) run(string) error { return errMissing }
