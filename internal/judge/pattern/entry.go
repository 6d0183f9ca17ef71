package pattern

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Entry is what a line says.
type Entry struct {
	Level   adg.LogLevel
	Message string // with what changes from one line to the next
}

// Read reads a line.
func Read(line string) Entry {
	line = strings.TrimSpace(strings.ToValidUTF8(line, "?"))
	if strings.HasPrefix(line, "{") {
		if e, ok := readJSON(line); ok {
			if inner := Read(e.Message); e.Level == adg.LevelUnknown && inner.Level != adg.LevelUnknown {
				return inner // a line within a line, as Docker keeps them
			}
			return e
		}
	}
	if e, ok := readLogfmt(line); ok {
		return e
	}
	return Entry{Level: levelOfText(line), Message: line}
}

// Private

// The names that fields go by, the usual first.
var (
	levelKeys   = []string{"level", "severity", "lvl", "loglevel", "log.level", "@l", "@level", "levelname", "severity_text"}
	messageKeys = []string{"msg", "message", "event", "log", "@m", "@message", "textPayload", "body"}
	errorKeys   = []string{"error", "err", "exception", "exc_info"}
)

func readJSON(line string) (Entry, bool) {
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		return Entry{}, false
	}
	text := func(keys []string) string {
		for _, key := range keys {
			switch v := fields[key].(type) {
			case string:
				if v != "" {
					return v
				}
			case float64:
				return strconv.FormatFloat(v, 'f', -1, 64)
			case map[string]any:
				for _, inner := range []string{"message", "msg", "type", "level"} {
					if s, ok := v[inner].(string); ok && s != "" {
						return s
					}
				}
			}
		}
		return ""
	}
	return entry(text(levelKeys), text(messageKeys), text(errorKeys))
}

// pair is a key and its value, quoted or not.
var pair = regexp.MustCompile(`([A-Za-z_@][A-Za-z0-9_.@-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)`)

func readLogfmt(line string) (Entry, bool) {
	if !strings.Contains(line, "=") || !strings.Contains(line, "msg=") && !strings.Contains(line, "level=") && !strings.Contains(line, "lvl=") {
		return Entry{}, false
	}
	fields := map[string]string{}
	for _, m := range pair.FindAllStringSubmatch(line, 64) {
		value := m[2]
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		if _, twice := fields[m[1]]; !twice {
			fields[m[1]] = value
		}
	}
	text := func(keys []string) string {
		for _, key := range keys {
			if fields[key] != "" {
				return fields[key]
			}
		}
		return ""
	}
	return entry(text(levelKeys), text(messageKeys), text(errorKeys))
}

// entry is what fields say; without a message they are none.
func entry(level, message, failure string) (Entry, bool) {
	if message == "" && failure == "" {
		return Entry{}, false
	}
	e := Entry{Level: levelOf(level), Message: message}
	if failure != "" && failure != message {
		e.Message = strings.TrimSpace(message + ": " + failure)
		e.Message = strings.TrimPrefix(e.Message, ": ")
	}
	e.Message, _, _ = strings.Cut(e.Message, "\n")
	if e.Level == adg.LevelUnknown {
		e.Level = levelOfText(e.Message)
	}
	return e, true
}

// levels by their names, by the numbers of bunyan and pino, and by those of syslog.
var levels = map[string]adg.LogLevel{
	"trace": adg.LevelDebug, "debug": adg.LevelDebug, "dbg": adg.LevelDebug, "10": adg.LevelDebug, "20": adg.LevelDebug,
	"info": adg.LevelInfo, "information": adg.LevelInfo, "notice": adg.LevelInfo, "30": adg.LevelInfo,
	"warn": adg.LevelWarn, "warning": adg.LevelWarn, "wrn": adg.LevelWarn, "40": adg.LevelWarn,
	"error": adg.LevelError, "err": adg.LevelError, "severe": adg.LevelError, "50": adg.LevelError,
	"fatal": adg.LevelPanic, "panic": adg.LevelPanic, "critical": adg.LevelPanic, "crit": adg.LevelPanic,
	"alert": adg.LevelPanic, "emerg": adg.LevelPanic, "emergency": adg.LevelPanic, "60": adg.LevelPanic,
	"0": adg.LevelPanic, "1": adg.LevelPanic, "2": adg.LevelPanic, "3": adg.LevelError, "4": adg.LevelWarn,
	"5": adg.LevelInfo, "6": adg.LevelInfo, "7": adg.LevelDebug,
}

func levelOf(word string) adg.LogLevel { return levels[strings.ToLower(strings.TrimSpace(word))] }

var (
	crash     = regexp.MustCompile(`^(panic: |fatal error: |Exception in thread |Traceback \(most recent call last\)|thread '.*' panicked|Unhandled |Uncaught )`)
	exception = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.$]*(Error|Exception)\b`)
	klog      = regexp.MustCompile(`^[IWEF][0-9]{4} `)
)

// headWords is how many words of a line its level is looked for in.
const headWords = 8

// levelOfText finds the level in a line's first words: in capitals, in brackets or before a colon, as words like error
// stand in sentences, too.
func levelOfText(line string) adg.LogLevel {
	switch {
	case crash.MatchString(line):
		return adg.LevelPanic
	case exception.MatchString(line):
		return adg.LevelError
	case klog.MatchString(line):
		return map[byte]adg.LogLevel{'I': adg.LevelInfo, 'W': adg.LevelWarn, 'E': adg.LevelError, 'F': adg.LevelPanic}[line[0]]
	}
	rest := line
	for range headWords {
		rest = strings.TrimLeft(rest, " \t")
		end := strings.IndexAny(rest, " \t")
		word := rest
		if end >= 0 {
			word = rest[:end]
		}
		bare := strings.Trim(word, "[]<>():|,-")
		if level, known := levels[strings.ToLower(bare)]; known && (bare[0] < '0' || bare[0] > '9') &&
			(bare == strings.ToUpper(bare) || bare != word) {
			return level
		}
		if end < 0 {
			break
		}
		rest = rest[end:]
	}
	return adg.LevelUnknown
}
