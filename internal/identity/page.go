package identity

import (
	"fmt"
	"strings"
)

// RolesPage is the reference page about the roles, in Markdown: what each may do, and where.
func RolesPage() string {
	var page strings.Builder
	page.WriteString(`# Roles

Somebody may do what one of his roles contains, where he holds it, and nothing else. A role is given to a user
(` + "`user:NAME`" + `), a group (` + "`group:NAME`" + `) or a token (` + "`token:ID`" + `), for the services and environments that two patterns
mean: a name, the beginning of names with a final ` + "`*`, or `*`" + ` for all.

Whoever gives or takes a role must be an admin where it holds. A token never may more than the person who made it, at the
time it is used. The last admin of everything cannot be removed.

## What a role contains

`)
	columns := append([]string{"permission"}, names()...)
	writeRow(&page, columns...)
	writeRow(&page, strings.Split(strings.Repeat("---,", len(columns)-1)+"---", ",")...)
	for _, p := range Permissions() {
		row := []string{"`" + p.String() + "`"}
		for _, r := range Roles() {
			row = append(row, mark(r.Has(p)))
		}
		writeRow(&page, row...)
	}
	page.WriteString(`
## Where it holds

What somebody may do who holds one role for the service ` + "`checkout` in the environment `production`" + `. The four marks are:
that service there, that service in another environment, another service there, another service elsewhere. Permissions
marked with "all" are on what belongs to no single service: they need the role for all services in all environments.

`)
	writeRow(&page, append(columns, "needs")...)
	writeRow(&page, strings.Split(strings.Repeat("---,", len(columns))+"---", ",")...)
	for _, p := range Permissions() {
		row := []string{"`" + p.String() + "`"}
		for _, r := range Roles() {
			row = append(row, marks(r, p))
		}
		needs := ""
		if p.FleetWide() {
			needs = "all"
		}
		writeRow(&page, append(row, needs)...)
	}
	return page.String()
}

// Private

// marks tells of the four places what a role for one service and environment allows there.
func marks(r Role, p Permission) string {
	who := Identity{Subject: "user:ann", Kind: KindUser, Person: "ann", Bindings: []Binding{{Role: r, Service: "checkout", Environment: "production"}}}
	var all []string
	for _, service := range []string{"checkout", "search"} {
		for _, environment := range []string{"production", "staging"} {
			all = append(all, mark(Allowed(who, p, service, environment) == nil))
		}
	}
	return strings.Join(all, " ")
}

func mark(yes bool) string {
	if yes {
		return "✓"
	}
	return "·"
}

func names() []string {
	var all []string
	for _, r := range Roles() {
		all = append(all, r.String())
	}
	return all
}

func writeRow(page *strings.Builder, cells ...string) {
	fmt.Fprintf(page, "| %s |\n", strings.Join(cells, " | "))
}
