package migration

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// Private

// flyway reads V, U and R files with its default prefixes and separator. A version may be written with underscores.
func (r *reader) flyway() {
	for _, f := range r.sql() {
		stem := strings.TrimSuffix(f.name, ".sql")
		version, name, cut := strings.Cut(stem, "__")
		if stem == "" || !cut {
			r.problem("%s: Flyway has files such as V1.2__name.sql, U1.2__name.sql and R__name.sql", f.name)
			continue
		}
		name = strings.ReplaceAll(name, "_", " ")
		prefix, version := version[:min(1, len(version))], strings.ReplaceAll(version[min(1, len(version)):], "_", ".")
		if strings.Contains(f.text, "${") {
			r.problem("%s: Flyway's placeholders, such as ${name}, are not filled in here: write the value out", f.name)
			continue
		}
		s := script(f)
		if prefix == "R" && version == "" {
			m := Migration{Name: name, Up: s}
			r.mark(&m.Marks, s.File, s.Text)
			r.folder.Repeatable = append(r.folder.Repeatable, m)
			continue
		}
		if err := Flyway.Valid(version); err != nil || prefix != "V" && prefix != "U" || version == "" {
			r.problem("%s: Flyway has files such as V1.2__name.sql, U1.2__name.sql and R__name.sql", f.name)
			continue
		}
		r.put(version, name, prefix == "V", s, s.Text)
	}
	r.complete()
}

// flywayParts gives the numbers of a version; zeros at its end say nothing.
func flywayParts(revision string) ([]part, error) {
	var parts []part
	for text := range strings.SplitSeq(revision, ".") {
		n, err := number19(text)
		if err != nil {
			return nil, errors.New("it is numbers with dots between them, such as 1.2")
		}
		parts = append(parts, n)
	}
	zero := fmt.Sprintf("%019s", "0")
	for len(parts) > 0 && parts[len(parts)-1] == zero {
		parts = parts[:len(parts)-1]
	}
	return parts, nil
}

// checksum is that of the lines without their ends, as Flyway keeps it in its table.
func checksum(text string) int32 {
	crc := crc32.NewIEEE()
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	for line := range strings.SplitSeq(text, "\n") {
		_, _ = crc.Write([]byte(line)) // it never fails
	}
	return int32(crc.Sum32()) // Flyway keeps the same bits in a signed column
}
