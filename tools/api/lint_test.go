package main

import (
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
)

// good is a definition that keeps all the rules; each case breaks it in one place.
const good = `syntax = "proto3";
package adg.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";

// DishService cooks.
service DishService {
  // CreateDish makes a dish.
  rpc CreateDish(CreateDishRequest) returns (Dish) {
    option (google.api.http) = {post: "/v1/dishes" body: "*"};
  }
  // UpdateDish changes a dish.
  rpc UpdateDish(UpdateDishRequest) returns (Dish) {
    option (google.api.http) = {patch: "/v1/dishes/{name}" body: "*"};
  }
  // ListDishes lists dishes.
  rpc ListDishes(ListDishesRequest) returns (ListDishesResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/dishes"};
  }
}

// Taste is how it tastes.
enum Taste {
  TASTE_UNKNOWN = 0; // Nobody has tried.
  TASTE_SWEET = 1; // Like sugar.
}

// Dish is something to eat.
message Dish {
  string name = 1; // Its name.
  Taste taste = 2; // How it tastes.
  google.protobuf.Timestamp cook_time = 3; // When it was cooked.
  string etag = 4; // Changes with the dish.
}

// CreateDishRequest asks for a dish.
message CreateDishRequest {
  string name = 1; // Its name.
  string idempotency_key = 2; // Of the caller's choice.
  string reason = 3; // Why.
}

// UpdateDishRequest changes a dish.
message UpdateDishRequest {
  string name = 1; // Its name.
  string idempotency_key = 2; // Of the caller's choice.
  string reason = 3; // Why.
  string etag = 4; // What was seen.
}

// ListDishesRequest selects dishes.
message ListDishesRequest {
  int32 page_size = 1; // How many.
  string page_token = 2; // Of the page before.
}

// ListDishesResponse is a page of dishes.
message ListDishesResponse {
  repeated Dish dishes = 1; // The dishes.
  string next_page_token = 2; // For the next page.
}
`

func TestEachRuleOfTheDefinitionIsKept(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"a good definition", "", "", ""},
		{"a method that REST cannot reach", `option (google.api.http) = {post: "/v1/dishes" body: "*"};`, "", "no google.api.http rule"},
		{"a path outside the version", `"/v1/dishes" body`, `"/dishes" body`, "below /v1/"},
		{"a body that is one field", `body: "*"};`, `body: "name"};`, `its body is "*"`},
		{"a GET that may do something", "option idempotency_level = NO_SIDE_EFFECTS;\n", "", "a GET has no side effects"},
		{"a PATCH that does nothing", `option (google.api.http) = {patch`, "option idempotency_level = NO_SIDE_EFFECTS;\n    option (google.api.http) = {patch", "is a GET or a POST"},
		{"a creation that a retry does twice", "  string idempotency_key = 2; // Of the caller's choice.\n", "", "needs an idempotency_key"},
		{"a change without a reason", "  string reason = 3; // Why.\n", "", "needs a reason"},
		{"an update over somebody else's", "  string etag = 4; // What was seen.\n", "", "its request needs an etag"},
		{"an update of what has no etag", "  string etag = 4; // Changes with the dish.\n", "", "Dish has none"},
		{"a list that is asked for without pages", "  int32 page_size = 1; // How many.\n", "", "needs page_size and page_token"},
		{"a list that cannot go on", "  string next_page_token = 2; // For the next page.\n", "", "needs a next_page_token"},
		{"a request of another name", "CreateDishRequest", "MakeDishRequest", "its request is called CreateDishRequest"},
		{"a field that nobody explains", "string name = 1; // Its name.", "string name = 1;", "it has no comment"},
		{"a message that nobody explains", "// Dish is something to eat.\n", "", "adg.v1.Dish: it has no comment"},
		{"a value that nobody explains", " // Like sugar.", "", "adg.v1.TASTE_SWEET: it has no comment"},
		{"a comment that is no sentence", "// Like sugar.", "// like sugar", "ends with a full stop"},
		{"a comment that begins otherwise", "// Dish is something", "// This is something", "its comment begins with Dish"},
		{"an enum whose zero means something", "TASTE_UNKNOWN", "TASTE_SOUR", "its zero value is"},
		{"a value without its enum's name", "TASTE_SWEET", "SWEET", "a value begins with TASTE_"},
		{"a time that is not called so", "cook_time", "cooked", "a time is called time"},
		{"a field in camel case", "cook_time", "cook_Time", "lower_snake_case"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(good, c.old, c.new)
			if c.old == "" {
				text = good
			} else if text == good {
				t.Fatalf("%q is not in the definition", c.old)
			}
			d, err := compileFrom(t.Context(), protocompile.CompositeResolver{
				&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"adg/v1/dish.proto": text})},
				protocompile.ResolverFunc(linkedIn),
			}, []string{"adg/v1/dish.proto"})
			if err != nil {
				t.Fatal(err)
			}
			err = lint(d)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v does not say %q", err, c.want)
			}
		})
	}
}

func TestTheDefinitionKeepsTheRules(t *testing.T) {
	d, err := compile(t.Context(), root+"/proto")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(methods(d)); n < 90 {
		t.Fatalf("found %d methods: the test has gone blind", n)
	}
	if err := lint(d); err != nil {
		t.Error(err)
	}
}

func TestAnImportThatNothingNeedsIsRefused(t *testing.T) {
	text := strings.Replace(good, "import", "import \"google/protobuf/duration.proto\";\nimport", 1)
	_, err := compileFrom(t.Context(), protocompile.CompositeResolver{
		&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"adg/v1/dish.proto": text})},
		protocompile.WithStandardImports(protocompile.ResolverFunc(linkedIn)),
	}, []string{"adg/v1/dish.proto"})
	if err == nil || !strings.Contains(err.Error(), "duration.proto") {
		t.Errorf("got %v", err)
	}
}
