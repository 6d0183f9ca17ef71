// Package judge turns measurements into verdicts and verdicts into health. It is pure: no clock, no context, no I/O.
package judge
