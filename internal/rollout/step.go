// Package rollout decides what happens to a deployment next. It is pure: no clock, no context, no I/O.
package rollout
