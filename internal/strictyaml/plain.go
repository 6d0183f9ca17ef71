package strictyaml

import (
	"encoding/json"
	"fmt"
)

// Plain is a tree as JSON has it: maps, slices, texts, json.Number, bool and nil. What stands in replaced for a place,
// which is named as problems name it, is taken instead of what is there.
func Plain(n *Node, replaced map[string]any) any { return plainAt(n, "", replaced) }

// Private

func plainAt(n *Node, path string, replaced map[string]any) any {
	if other, found := replaced[path]; found {
		return other
	}
	switch n.Kind {
	case List:
		items := make([]any, len(n.Items))
		for i, item := range n.Items {
			items[i] = plainAt(item, fmt.Sprintf("%s[%d]", path, i), replaced)
		}
		return items
	case Mapping:
		fields := map[string]any{}
		for _, e := range n.Entries {
			fields[e.Name] = plainAt(e.Value, Join(path, e.Name), replaced)
		}
		return fields
	case Number:
		return json.Number(n.Text)
	case Bool:
		return n.Text == "true"
	case Text:
		return n.Text
	case Null, Refused:
	}
	return nil
}
