package app

import (
	"github.com/deployguardian/adg/internal/client"
	"github.com/deployguardian/adg/internal/contexts"
)

// connect makes a client of a server; nothing is sent yet.
func (a *App) connect(c contexts.Context) (*client.Client, error) {
	return client.Dial(c, client.Options{Version: a.version})
}
