package openapi

import (
	_ "embed"
	"html/template"
)

// Private

//go:embed style.css
var style string

//go:embed page.html
var markup string

var layout = template.Must(template.New("page").Funcs(template.FuncMap{
	// The style is a file of this package, and the policy of the page has its digest.
	"css": func(text string) template.CSS { return template.CSS(text) },
}).Parse(markup))
