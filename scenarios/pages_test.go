package scenarios

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	shown  = regexp.MustCompile(`(?m)^( *)target:\n(?:\s+.*\n)+`)
	theirs = regexp.MustCompile(`https://[a-z]+\.example\.com`)
)

// example appends what a page shows for a target of some type to guardian.yaml. Whatever server stands there becomes the one
// of the story. As in: example command.md command.
func example(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: example PAGE TYPE")
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "targets", args[0]))
	ts.Check(err)
	for _, block := range strings.Split(strings.ReplaceAll(string(page), "```", "\n\n"), "\n\n") {
		found := shown.FindStringSubmatch(block + "\n")
		if found == nil || !strings.Contains(found[0], " type: "+args[1]+"\n") {
			continue
		}
		text := theirs.ReplaceAllString(strings.ReplaceAll("\n"+found[0], "\n"+found[1], "\n"), "http://server.invalid")
		policy := ts.MkAbs("guardian.yaml")
		ts.Check(os.WriteFile(policy, []byte(strings.TrimSpace(ts.ReadFile(policy))+text), 0o600))
		return
	}
	ts.Fatalf("%s shows no target of type %s", args[0], args[1])
}

// document serves an object in JSON as docs/targets/httpflag.md asks for, beginning with that of a file, and writes what it is
// put to into a file of that name and .put, a line each: document flag.json.
func document(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: document FILE")
	}
	var mu sync.Mutex
	now, version := []byte(ts.ReadFile(args[0])), 1
	log := ts.MkAbs(args[0] + ".put")
	serve(ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tag := strconv.Quote(strconv.Itoa(version))
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
			if r.Header.Get("If-Match") != tag || err != nil || !json.Valid(body) {
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
			file, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err == nil {
				_, err = file.Write(append(body, '\n'))
				_ = file.Close()
			}
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			now, version = body, version+1
			tag = strconv.Quote(strconv.Itoa(version))
		}
		w.Header().Set("ETag", tag)
		_, _ = w.Write(now)
	}))
}
