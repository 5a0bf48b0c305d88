//go:build tools

// Package peer names the program that is built here; go.sum holds it and all that it is made of.
package peer

import _ "github.com/containers/skopeo/cmd/skopeo"
