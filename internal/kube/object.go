package kube

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

// Object is an item of a list with all its fields, those that this version of adg does not know included. Items of lists
// say no kind.
type Object struct{ unstructured.Unstructured }

// UnmarshalJSON keeps whole numbers whole.
func (o *Object) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &o.Object)
}
