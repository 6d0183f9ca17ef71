// Command adg is the Automated Deployment Guardian: server, command line and demo in one binary.
package main

import (
	"os"

	"github.com/deployguardian/adg/internal/app"
)

//go:generate go run . reference ../../docs/reference

// version is set by the linker.
var version = "development"

func main() {
	os.Exit(app.Main(version, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
