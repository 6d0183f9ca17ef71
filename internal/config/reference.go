package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/deployguardian/adg/internal/strictyaml"
)

// Reference is the reference page of policy files, in Markdown. It fails as Schema does.
func Reference(drivers Drivers) ([]byte, error) {
	if err := drivers.described(); err != nil {
		return nil, err
	}
	var page bytes.Buffer
	page.WriteString(opening)
	language.Sections(&page, reflect.TypeFor[policy]())
	for _, s := range drivers.seams() {
		_, _ = fmt.Fprintf(&page, "\n## %s\n", strings.ToUpper(s.name[:1])+s.name[1:]+"s")
		for _, driver := range s.drivers {
			_, _ = fmt.Fprintf(&page, "\n### type: %s\n\n%s\n", driver.Type, driver.Summary)
			if options := language.Rows(reflect.TypeOf(driver.Options), "", reflect.ValueOf(driver.Options)); len(options) > 0 {
				page.WriteString("\n")
				strictyaml.Table(&page, options)
			}
		}
	}
	return page.Bytes(), nil
}

// Private

const opening = `# Policy file

This page is generated from the program; ` + "`adg policy schema`" + ` prints the same for editors.

A policy is one YAML document. What it does not say has the default below. Everything that is wrong with it is said at
once; ` + "`adg policy lint`" + ` says what is doubtful, too. An unknown field is an error.

* A **time** is written as people write it: ` + "`90s`, `15m`, `1h30m`, `1.5h`, `2d`, `1w`" + `. A number alone is refused.
* A **percentage** is written with its sign: ` + "`5%`, `0.5%`" + `.
* A **condition** says what is bad, in quotes: ` + "`\"> 5%\"`, `\"outside 10..20\"`, `\"> baseline + 25%\"`" + ` (a quarter more),
  ` + "`\"> baseline + 5pp\"`" + ` (five percentage points more).
* A **secret** is named, never written: ` + "`{env: NAME}` or `{file: PATH}`" + `. One line end at the end of the file is left out.
* Paths are relative to the folder that adg runs in.
* Anchors and aliases stand for whole values. Merge keys (` + "`<<`" + `), tags and further documents are refused.

## Fields

`
