// Package openapi holds the OpenAPI document of ADG's API and a page to read it, which needs no script and loads nothing.
package openapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
)

// Document is the OpenAPI 3.1 document, JSON. It is generated; nobody writes to it.
//
//go:embed adg.json
var Document []byte

// Page is the document as one HTML page: the methods by service, each with its fields and a line for curl. It is made
// once, and safe for concurrent use.
func Page() ([]byte, error) { return page() }

// Handler serves the document at /openapi.json and the page at /docs/api. An error of the page, which only a broken build
// could have, is answered with status 500.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(Document) // a caller who went away needs no answer
	})
	mux.HandleFunc("GET /docs/api", func(w http.ResponseWriter, _ *http.Request) {
		text, err := Page()
		if err != nil {
			http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(text)
	})
	return mux
}

// Private

// policy lets the page have its own style, and nothing else.
var policy = "default-src 'none'; style-src 'sha256-" + digest(style) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var page = sync.OnceValues(func() ([]byte, error) {
	r, err := read(Document)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	if err := layout.Execute(&out, r); err != nil {
		return nil, err
	}
	return []byte(out.String()), nil
})
