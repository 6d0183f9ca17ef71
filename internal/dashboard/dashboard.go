// Package dashboard serves the dashboard, which is built of web/ and embedded here: the page that all addresses of the
// dashboard show, and the files that it is made of.
package dashboard

//go:generate ../../scripts/bundle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Handler serves the dashboard below "/".
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if IsPage(r.URL.Path) {
			name = "index.html"
		}
		f := files()[name]
		switch {
		case f == nil:
			http.NotFound(w, r)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "a page is read: GET it", http.StatusMethodNotAllowed)
			return
		}
		f.serve(w, r)
	})
}

// IsPage tells whether a path is that of a page of the dashboard, and not of a file.
func IsPage(at string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(at), "/"), "/")
	return slices.Contains(pages, first)
}

// Private

//go:embed all:dist
var dist embed.FS

// pages are the first parts of the addresses of pages; web/src/places.ts says what is at each.
var pages = []string{"", "audit", "deployments", "events", "first-steps", "policies", "predictions", "services", "settings"}

// file is one of the dashboard's.
type file struct {
	name    string
	content []byte
	packed  []byte // with gzip; nil: it is no smaller
	tag     string
	kind    string
	forever bool // the name changes with the content
}

// files are all of them, by their paths. They are packed once, when the first one is asked for.
var files = sync.OnceValue(func() map[string]*file {
	all := map[string]*file{}
	err := fs.WalkDir(dist, "dist", func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := dist.ReadFile(at)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		name := strings.TrimPrefix(at, "dist/")
		all[name] = &file{
			name: name, content: content, packed: packed(content), tag: hex.EncodeToString(sum[:12]),
			kind: mime.TypeByExtension(path.Ext(name)), forever: strings.HasPrefix(name, "assets/"),
		}
		return nil
	})
	if err != nil {
		panic(err) // what is embedded can be read
	}
	return all
})

func packed(content []byte) []byte {
	var to bytes.Buffer
	w, _ := gzip.NewWriterLevel(&to, gzip.BestCompression) // the level is one that there is
	_, _ = w.Write(content)                                // memory takes it
	_ = w.Close()
	if to.Len() >= len(content) {
		return nil
	}
	return to.Bytes()
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h, content, tag := w.Header(), f.content, f.tag
	h.Set("Cache-Control", "no-cache")
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	if f.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		content, tag = f.packed, tag+"-gzip"
	}
	h.Set("Etag", `"`+tag+`"`)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(content))
}
