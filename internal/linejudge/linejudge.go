// Package linejudge is the line protocol of `adg judge`: it reads requests, one a line, has the judge answer each, and
// writes the answers in the same order. It lets others ask what the guard would say, without a guard.
package linejudge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/deployguardian/adg"
)

const (
	// MaxLine is the size of the longest line that is read, in bytes.
	MaxLine = 64 << 20
	// maxSamples bounds a list of samples, and the rows of a CSV whose answers come at its end.
	maxSamples = 1 << 20
)

// The methods.
const (
	Sequential  = "sequential"
	MannWhitney = "mann-whitney"
	Threshold   = "threshold"
	Relative    = "relative"
)

// Methods are the choices, in the order in which they are recommended.
func Methods() []string { return []string{Sequential, MannWhitney, Threshold, Relative} }

// Options say how lines are read and judged.
type Options struct {
	Method   string
	Alpha    *float64 // of sequential; of mann-whitney, 1 less the confidence; nil: as Settings or the usual ones say
	Settings string   // a JSON object: fields that each request has unless it says otherwise
	CSV      bool     // read CSV with a line of column names, and write such
}

// Tally counts the answers.
type Tally struct {
	Answers int
	Failed  int // those that say what is wrong with the request
}

// Run answers lines until in ends. Each answer is written before the next line is waited for. What is wrong with a line
// is its answer, and the next line is still read; an error is given for options that can't be meant (Invalid), for CSV
// without the columns that the method needs (Invalid), and for what ends the reading or the writing.
//
// Of CSV, sequential answers each row, and the others, which need all samples, each metric when in has ended. Memory
// is bounded by MaxLine, and for those others by 1,048,576 rows.
func Run(o Options, in io.Reader, out io.Writer) (Tally, error) {
	if err := o.check(); err != nil {
		return Tally{}, err
	}
	s := &session{Options: o, in: newLines(in), out: bufio.NewWriter(out)}
	var err error
	switch {
	case !o.CSV:
		err = s.requests()
	case o.Method == Sequential:
		err = s.traces()
	default:
		err = s.metrics()
	}
	if flush := s.out.Flush(); flush != nil && !errors.Is(err, flush) {
		err = errors.Join(err, fmt.Errorf("writing the answers: %w", flush))
	}
	return s.tally, err
}

// Private

// request is one question, with the settings to answer it by.
type request interface {
	settle(final bool) error // says which settings can't be meant; final: no line adds to them
	answer() (answer, error)
}

// answer is what JSON makes of it, or a row of CSV.
type answer interface {
	row() []string
}

// failure is the answer to what could not be judged.
type failure struct {
	Error string `json:"error"`
}

func (o Options) check() error {
	r, err := o.request()
	if err != nil {
		return err
	}
	return r.settle(o.CSV)
}

// request is one with nothing but its settings. It is made anew each time, so that no line can change those of the next.
func (o Options) request() (request, error) {
	var r request
	switch o.Method {
	case Sequential:
		r = &sequentialRequest{sequentialSettings: usualSequential}
	case MannWhitney:
		r = &ranksRequest{rankSettings: usualRanks}
	case Threshold:
		r = &thresholdRequest{}
	case Relative:
		r = &relativeRequest{}
	default:
		return nil, adg.Errorf(adg.Invalid, "unknown method %q: choose one of %s", cut(o.Method), strings.Join(Methods(), ", "))
	}
	if o.Settings != "" {
		if err := decode([]byte(o.Settings), r, "settings"); err != nil {
			return nil, adg.Errorf(adg.Invalid, "settings: %w", err)
		}
	}
	if o.Alpha == nil {
		return r, nil
	}
	switch r := r.(type) {
	case *sequentialRequest:
		r.Alpha = *o.Alpha
	case *ranksRequest:
		r.Confidence = 1 - *o.Alpha
	default:
		return nil, adg.Errorf(adg.Invalid, "%s promises nothing, so it has no alpha: sequential and mann-whitney do", o.Method)
	}
	return r, nil
}

// session is one input and what has come of it.
type session struct {
	Options
	in    *lines
	out   *bufio.Writer
	tally Tally
}

// requests answers JSON lines.
func (s *session) requests() error {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	for {
		line, err := s.in.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, errTooLong):
			return fmt.Errorf("reading line %d: %w", s.in.number, err)
		case err == nil && len(bytes.TrimSpace(line)) == 0:
			continue
		}
		var said any
		if err == nil {
			said, err = s.judged(line)
		}
		if err != nil {
			said = failure{s.failed(err)}
		}
		s.tally.Answers++
		if err := enc.Encode(said); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
		if err := s.hand(); err != nil {
			return err
		}
	}
}

func (s *session) judged(line []byte) (answer, error) {
	r, err := s.request()
	if err != nil {
		return nil, err
	}
	if err := decode(line, r, "a request"); err != nil {
		return nil, err
	}
	return r.answer()
}

// failed counts an answer that is an error, and says where it is from.
func (s *session) failed(err error) string {
	s.tally.Failed++
	return s.located(err)
}

func (s *session) located(err error) string { return fmt.Sprintf("line %d: %s", s.in.number, err) }

// hand gives out what was written, unless the next line is here already.
func (s *session) hand() error {
	if s.in.ready() {
		return nil
	}
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	return nil
}
