package strictyaml

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestEveryFieldThatHoldsFieldsHasASection(t *testing.T) {
	type inner struct {
		Depth int `yaml:"depth" doc:"How deep."`
	}
	type outer struct {
		Plain     inner              `yaml:"plain" doc:"Fields."`
		Pointer   *inner             `yaml:"pointer" doc:"Fields that may be missing."`
		List      []inner            `yaml:"list" doc:"Several."`
		Named     map[string]inner   `yaml:"named" doc:"Several by name."`
		Pointers  map[string]*inner  `yaml:"pointers" doc:"Several by name that may be missing."`
		Lists     map[string][]inner `yaml:"lists" doc:"Several of each name."`
		Text      string             `yaml:"text" doc:"A text."`
		Maybe     *string            `yaml:"maybe" doc:"A text that may be missing."`
		Texts     map[string]string  `yaml:"texts" doc:"Texts by name."`
		Whatever  *Node              `yaml:"whatever" seam:"source" doc:"What a driver reads."`
		Whatevers map[string]*Node   `yaml:"whatevers" seam:"source" doc:"What drivers read."`
	}
	var page bytes.Buffer
	Language{}.Sections(&page, reflect.TypeFor[outer]())
	fields, sections, _ := strings.Cut(page.String(), "\n## ")
	var got []string
	for section := range strings.SplitSeq(sections, "\n## ") {
		title, text, _ := strings.Cut(section, "\n")
		got = append(got, title)
		if !strings.Contains(text, "| `depth` | whole number |  | How deep. |") {
			t.Errorf("the section of %s does not say what it holds:\n%s", title, text)
		}
	}
	if want := "plain pointer list named pointers lists"; strings.Join(got, " ") != want {
		t.Errorf("sections of %v, not of %s", got, want)
	}
	for _, want := range []string{"| `named` | by name: fields |", "| `pointers` | by name: fields |", "| `whatevers` | by name: [source](#sources) |", "| `maybe` | text |"} {
		if !strings.Contains(fields, want) {
			t.Errorf("no row %s in\n%s", want, fields)
		}
	}
}

func TestThePathOfAFieldTellsListsAndNames(t *testing.T) {
	type inner struct {
		Depth int `yaml:"depth" doc:"How deep."`
	}
	type outer struct {
		Pointer *inner               `yaml:"pointer" doc:"Fields that may be missing."`
		Lists   map[string][]inner   `yaml:"lists" doc:"Several of each name."`
		Named   []map[string]*inner  `yaml:"named" doc:"Several of several names."`
		Texts   map[string][]*string `yaml:"texts" doc:"Texts."`
	}
	var got []string
	for _, row := range (Language{}).Rows(reflect.TypeFor[outer](), "", reflect.ValueOf(outer{Pointer: &inner{3}})) {
		got = append(got, row.Name)
	}
	if want := "pointer pointer.depth lists lists.NAME[].depth named named[].NAME.depth texts"; strings.Join(got, " ") != want {
		t.Errorf("%v, not %s", got, want)
	}
}
