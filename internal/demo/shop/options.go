// Package shop is the demo's sample service: a small HTTP shop in one process, with metrics, in a healthy version or
// one that has a fault.
package shop

import (
	"flag"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Fault is what is wrong with a version of the shop.
type Fault string

// The faults.
const (
	None    Fault = "none"
	Errors  Fault = "errors"  // ten times as many requests fail
	Latency Fault = "latency" // every request takes twice as long
	Crash   Fault = "crash"   // the process exits hard on about every 200th request
	Silent  Fault = "silent"  // requests are taken and never answered; health checks and scrapes are
	Log     Fault = "log"     // payments are lost and customers told that all is well: every number stays fine, only the log says it
	Leak    Fault = "leak"    // from the first request on memory grows by 10 MiB per second up to 256 MiB, and latency with it
)

// Faults are all of them.
var Faults = []Fault{None, Errors, Latency, Crash, Silent, Leak, Log}

// Options say which shop this process is.
type Options struct {
	Version  string
	Addr     string // where it listens; empty: any port of 127.0.0.1
	Fault    Fault  // empty: None
	Seed     uint64 // of its pseudo-random latencies, failures and crashes
	Restarts int    // how often this version was restarted after a crash, for its metrics

	// Out gets the address that it listens on, as a line, as soon as it serves, and after that its log; nil: nobody is told.
	Out io.Writer
	// In keeps it alive: the shop ends when In does, so that it never outlives the process on the other side; nil: for ever.
	In io.Reader
}

// Args are the options as arguments that Parse reads.
func (o Options) Args() []string {
	return []string{
		"--version=" + o.Version, "--addr=" + o.Addr, "--fault=" + string(o.Fault),
		"--seed=" + strconv.FormatUint(o.Seed, 10), "--restarts=" + strconv.Itoa(o.Restarts),
	}
}

// Parse reads what Args wrote; In and Out are the caller's to set. Anything else is Invalid.
func Parse(args []string) (Options, error) {
	var o Options
	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.Version, "version", "", "")
	flags.StringVar(&o.Addr, "addr", "", "")
	flags.StringVar((*string)(&o.Fault), "fault", "", "")
	flags.Uint64Var(&o.Seed, "seed", 0, "")
	flags.IntVar(&o.Restarts, "restarts", 0, "")
	if err := flags.Parse(args); err != nil {
		return Options{}, adg.Errorf(adg.Invalid, "shop: %w", err)
	}
	if flags.NArg() > 0 {
		return Options{}, adg.Errorf(adg.Invalid, "shop: unexpected argument %q", flags.Arg(0))
	}
	return o, o.validate()
}

// Private

func (o Options) validate() error {
	if err := adg.ValidVersion(o.Version); err != nil {
		return err
	}
	if o.Fault != "" && !slices.Contains(Faults, o.Fault) {
		return adg.Errorf(adg.Invalid, "fault %q: choose one of %s", o.Fault, names(Faults))
	}
	if o.Restarts < 0 {
		return adg.Errorf(adg.Invalid, "a shop cannot have been restarted %d times", o.Restarts)
	}
	return nil
}

func names(faults []Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, string(f))
	}
	return strings.Join(all, ", ")
}
