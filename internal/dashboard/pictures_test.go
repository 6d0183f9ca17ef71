package dashboard

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const docs = "../../docs"

// pictures are the sizes of the pictures that there are of the dashboard, by name.
func pictures(t *testing.T) map[string]int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(docs, "dashboard", "*.png"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no pictures: %v", err)
	}
	sizes := map[string]int64{}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		sizes[info.Name()] = info.Size()
	}
	return sizes
}

// pictured are the pictures that texts show, each with the text.
func pictured(t *testing.T) map[string]string {
	t.Helper()
	shown := map[string]string{}
	find := func(file string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, picture := range regexp.MustCompile(`(?:\]\(|src="|srcset="|<)([^")>\s]+\.png)`).FindAllStringSubmatch(string(text), -1) {
			path := filepath.Join(filepath.Dir(file), picture[1])
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s shows %s, which is not there", file, picture[1])
			}
			if filepath.Base(filepath.Dir(path)) == "dashboard" {
				shown[filepath.Base(path)] = file
			}
		}
	}
	find("../../README.md")
	err := filepath.WalkDir(docs, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			find(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

func TestTheDocsShowEveryPageInBothSchemes(t *testing.T) {
	source, err := os.ReadFile("../../web/src/places.ts")
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{"login"} // it is a page of the server's, and none of the dashboard's
	for _, place := range regexp.MustCompile(`\{name: "([a-z-]+)", title:`).FindAllStringSubmatch(string(source), -1) {
		pages = append(pages, place[1])
	}
	if len(pages) < 10 {
		t.Fatalf("web/src/places.ts has the pages %q only", pages)
	}
	shown := pictured(t)
	for _, page := range pages {
		for _, scheme := range []string{"light", "dark"} {
			of := regexp.MustCompile("^" + page + "s?(-[a-z-]+)?-" + scheme + `\.png$`)
			if !slices.ContainsFunc(keys(shown), of.MatchString) {
				t.Errorf("no text shows the page %s in the %s scheme", page, scheme)
			}
		}
	}
}

func TestEveryPictureIsSmallAndShownAndThereInBothSchemes(t *testing.T) {
	const most = 250_000
	sizes, shown := pictures(t), pictured(t)
	for name, size := range sizes {
		if size > most {
			t.Errorf("%s is %d bytes, at most %d are wanted", name, size, most)
		}
		if shown[name] == "" {
			t.Errorf("no text shows %s", name)
		}
		other := strings.NewReplacer("-light", "-dark", "-dark", "-light").Replace(name)
		if _, there := sizes[other]; !there || other == name {
			t.Errorf("%s is there in one scheme only", name)
		}
	}
}

func keys(of map[string]string) []string {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	return names
}
