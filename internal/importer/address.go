package importer

import (
	"net/url"
	"regexp"
	"strings"
)

// Private

// bareAddress is an address without user, parameters and fragment, empty if it is none; false if there was such a thing.
func bareAddress(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", true
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", true
	}
	kept := u.User == nil && u.RawQuery == "" && u.Fragment == ""
	u.User, u.RawQuery, u.Fragment, u.ForceQuery = nil, "", "", false
	return shown(u.String()), kept
}

var envUnfit = regexp.MustCompile(`[^A-Z0-9]+`)

// envName is the name of an environment variable for a secret.
func envName(parts ...string) string {
	name := strings.Trim(envUnfit.ReplaceAllString(strings.ToUpper(strings.Join(parts, "_")), "_"), "_")
	if name == "" || name[0] <= '9' {
		name = "SECRET_" + name
	}
	return name[:min(len(name), 100)]
}

// fromEnv is a secret that an environment variable holds, as a policy names it.
func fromEnv(name string) string { return "{env: " + name + "}" }
