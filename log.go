package adg

import (
	"context"
	"errors"
	"regexp"
	"time"
)

// LogLevel is how bad a line of a log says that it is. The zero value: it does not say.
type LogLevel uint8

// The levels, rising.
const (
	LevelUnknown LogLevel = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
	LevelPanic // the process, or a part of it, ended by it
)

var logLevelNames = []string{"unknown", "debug", "info", "warn", "error", "panic"}

// String is the level's name.
func (l LogLevel) String() string { return enumText(l, logLevelNames) }

// MarshalText writes the name.
func (l LogLevel) MarshalText() ([]byte, error) { return marshalEnum(l, "log level", logLevelNames) }

// UnmarshalText reads a name.
func (l *LogLevel) UnmarshalText(text []byte) error {
	return unmarshalEnum(l, "log level", logLevelNames, text)
}

// LineSource is a source that can give the lines of a log, too.
//
// Lines answers like Query: once, without retries, and no lines are an answer. It gives at most Limit lines, the latest
// ones, in the order of their times; where there were more, Since says from when on they are complete. A line is at most
// MaxLine bytes long and holds no secret of the source's own.
//
// ForLines tells, without asking anybody, whether a text is a question for lines, and not one for numbers.
type LineSource interface {
	Lines(ctx context.Context, q LinesQuery) (LinesAnswer, error)
	ForLines(text string) bool
}

// AskLines asks a source for lines, and refuses to where it has none to give.
func AskLines(ctx context.Context, s Source, q LinesQuery) (LinesAnswer, error) {
	lines, can := s.(LineSource)
	if !can {
		return LinesAnswer{}, Permanent(Errorf(Invalid, "the source gives no lines of logs: compare: logs needs one that does"))
	}
	return lines.Lines(ctx, q)
}

// ForLines tells whether a text is a question for lines to that source.
func ForLines(s Source, text string) bool {
	lines, can := s.(LineSource)
	return can && lines.ForLines(text)
}

const (
	// MaxLines is how many lines one question is answered with, at most.
	MaxLines = 5_000
	// MaxLine is how long one of them is, at most, in bytes.
	MaxLine = 8 << 10
)

// LinesQuery is one question for lines.
type LinesQuery struct {
	Text    string            // in the source's own language, with $variables as in Query
	Vars    map[string]string // as in Query
	At      time.Time         // the lines until then
	Window  time.Duration     // and from that long before
	Replica string            // the label that tells replicas apart; empty: the source's own way, if it has one
	Limit   int               // zero: MaxLines
}

// LinesAnswer is what a source gave.
type LinesAnswer struct {
	Lines    []LogLine
	Since    time.Time // from when on the lines are complete; zero: from the window's begin
	Sent     string    // the query as it was sent, variables expanded
	Warnings []string
}

// LogLine is one line of a log: text of strangers.
type LogLine struct {
	At      time.Time
	Replica string
	Text    string
}

// LogCount is what one arm logged in a window, as patterns: lines without what changes from one to the next.
type LogCount struct {
	From     time.Time     `json:"from"`               // from then on nothing is missing
	Last     time.Time     `json:"last,omitzero"`      // the time of the latest line, of whatever level
	Moment   time.Duration `json:"moment"`             // a stretch of time in which a pattern counts once per replica
	Replicas []string      `json:"replicas,omitempty"` // that wrote a line of whatever level; at most MaxLogReplicas
	Lines    int           `json:"lines"`              // of whatever level
	Patterns []LogPattern  `json:"patterns,omitempty"` // of the levels that the check watches; at most MaxLogPatterns
	Left     int           `json:"left,omitempty"`     // lines that belong to more patterns than that
	Mute     int           `json:"mute,omitempty"`     // lines that do not count because they do not say their level
}

const (
	// MaxLogPatterns bounds the patterns of one measurement.
	MaxLogPatterns = 128
	// MaxLogReplicas bounds the replicas that are told apart; the rest count as the last of them.
	MaxLogReplicas = 64
)

// LogPattern is one pattern of a measurement.
type LogPattern struct {
	Text    string    `json:"text"` // words, with <n>, <id>, <path> and so on where lines differ
	Level   LogLevel  `json:"level"`
	Example string    `json:"example"` // a line of it, secrets masked
	First   time.Time `json:"first"`   // of the window
	Cells   []LogCell `json:"cells"`   // by moment and replica
}

// LogCell is how many lines of a pattern a replica wrote in one moment.
type LogCell struct {
	Replica int   `json:"replica"` // its place in Replicas
	Moment  int64 `json:"moment"`  // counted from 1970
	Lines   int   `json:"lines"`
}

// LogChange is how a pattern differs from the baseline's.
type LogChange uint8

// The changes. The zero value is none that could be told.
const (
	LogSame LogChange = iota
	LogNew            // the candidate has it and the baseline has not
	LogMore           // the candidate has it more often
	LogGone           // the baseline has it and the candidate has not
)

var logChangeNames = []string{"same", "new", "more", "gone"}

// String is the change's name.
func (c LogChange) String() string { return enumText(c, logChangeNames) }

// MarshalText writes the name.
func (c LogChange) MarshalText() ([]byte, error) { return marshalEnum(c, "log change", logChangeNames) }

// UnmarshalText reads a name.
func (c *LogChange) UnmarshalText(text []byte) error {
	return unmarshalEnum(c, "log change", logChangeNames, text)
}

// LogFinding is what a judgement says of one pattern. Counts are of moments: Bad those with the pattern, All of them.
type LogFinding struct {
	Text      string    `json:"text"`
	Level     LogLevel  `json:"level"`
	Change    LogChange `json:"change"`
	Candidate Counts    `json:"candidate"`
	Baseline  Counts    `json:"baseline"`
	Lines     float64   `json:"lines"`      // of the candidate
	BaseLines float64   `json:"base_lines"` // of the baseline
	First     time.Time `json:"first"`      // when either had it first
	Example   string    `json:"example"`    // a line of it, secrets masked
	LogE      float64   `json:"log_e"`      // evidence that the candidate has it more often, as a natural logarithm
	LogLimit  float64   `json:"log_limit"`  // from which on it is decisive
}

// Decides tells whether the candidate is worse by this pattern.
func (f LogFinding) Decides() bool { return f.Change != LogGone && f.LogE >= f.LogLimit }

// LogTest is which lines a check of logs counts; what it promises is in its SequentialTest. The zero value of a field
// stands for what its comment says.
type LogTest struct {
	Level  LogLevel `json:"level,omitempty"`  // lines below it do not count; zero: warn
	Any    bool     `json:"any,omitempty"`    // lines without a level count, too
	Ignore []string `json:"ignore,omitempty"` // regular expressions (RE2): lines that match one do not count
	Least  int      `json:"least,omitempty"`  // moments of the candidate with a pattern before it is held against it; zero: 3
	Often  float64  `json:"often,omitempty"`  // share of the moments that a new pattern has to have to be found for sure; zero: 0.25
	// Restored is set where one look has to do, as after a rollback: the window is compared with the frozen baseline, without a test.
	Restored bool `json:"restored,omitempty"`
}

// Moment is how long the moments are in which a pattern counts once.
func (c Check) Moment() time.Duration {
	if c.Sequential.Bucket > 0 {
		return time.Duration(c.Sequential.Bucket) * time.Second
	}
	return 10 * time.Second
}

// Moments is how many of them a window of a check of logs holds at least: one that lies in it as a whole, wherever it
// begins, and the time in which its last lines arrive.
const Moments = 3

// Private

const (
	maxIgnored = 64
	maxIgnore  = 512 // bytes of one expression
)

func (t LogTest) validate() error {
	var errs []error
	if len(t.Ignore) > maxIgnored {
		errs = append(errs, Errorf(Invalid, "ignore: at most %d expressions", maxIgnored))
	}
	for _, text := range t.Ignore {
		if len(text) > maxIgnore || text == "" {
			errs = append(errs, Errorf(Invalid, "ignore: an expression has 1 to %d bytes", maxIgnore))
			continue
		}
		if _, err := regexp.Compile(text); err != nil {
			errs = append(errs, Errorf(Invalid, "ignore: %q is no regular expression: %w", text, err))
		}
	}
	if t.Level > LevelPanic || t.Least < 0 || t.Least > 1000 || !(t.Often >= 0 && t.Often <= 1) {
		errs = append(errs, Errorf(Invalid, "least is 0 to 1000 and often a share up to 1"))
	}
	return errors.Join(errs...)
}
