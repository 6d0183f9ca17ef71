package storetest

import (
	"slices"

	"github.com/deployguardian/adg"
)

var places = []scenario{
	{"places are where something was ever deployed, each once, in pages", func(b *bench) {
		b.equal("of nothing", b.places(10), []adg.Scope(nil))
		for _, id := range []string{"a", "b", "c"} {
			b.create(id)
			b.create(id+"-cart", of("cart"))
			b.create(id+"-staging", of("cart"), in("staging"))
		}
		b.end("a")
		want := []adg.Scope{{Service: "cart", Environment: "production"}, {Service: "cart", Environment: "staging"}, {Service: "shop", Environment: "production"}}
		for _, size := range []int{1, 2, 3, 10, 0} {
			b.equal("places", b.places(size), want)
		}
	}},
}

func (b *bench) places(size int) []adg.Scope {
	b.Helper()
	var all []adg.Scope
	for after := (adg.Scope{}); ; {
		page, err := b.Store.Places(b.ctx, after, size)
		b.must(err)
		if len(page) == 0 {
			return all
		}
		if size > 0 && len(page) > size {
			b.Fatalf("a page of %d has %d", size, len(page))
		}
		for _, p := range page {
			if slices.Contains(all, p) {
				b.Fatalf("%v comes twice", p)
			}
		}
		all, after = append(all, page...), page[len(page)-1]
	}
}
