package override

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sentinel/internal/control/admin"
)

// kind says how one kind of override is written into a configuration.
type kind struct {
	places []string // where it may hold: "listener", "route", "upstream", or "" for everywhere
	block  string   // that its settings stand in; "" for none
	always []admin.Setting
	wants  string // what is missing when there is no setting; "" when none is needed
}

func kindOf(name string) (kind, bool) {
	switch name {
	case admin.OverrideLimits:
		return kind{places: []string{"", "listener"}, block: "limits", wants: "a limit, such as max-connections"}, true
	case admin.OverrideRateLimit:
		return kind{
			places: []string{"", "listener", "route"}, block: "rate-limit", wants: "requests-per-second or requests-per-minute",
			always: []admin.Setting{{Key: "additional", Value: "#true"}},
		}, true
	case admin.OverrideTimeouts:
		return kind{places: []string{"", "listener", "route", "upstream"}, block: "timeouts", wants: "a timeout, such as request-secs"}, true
	case admin.OverrideChallenge:
		return kind{places: []string{"", "listener", "route"}, block: "security", wants: "challenge-mode"}, true
	case admin.OverrideDisable:
		return kind{places: []string{"route"}, block: "disabled"}, true
	case admin.OverrideFallback:
		return kind{places: []string{"route"}, wants: "fallback-upstream or use-fallback"}, true
	}
	return kind{}, false
}

const (
	// settingsMax bounds the settings of one override, valueBytesMax one of their values and
	// nameBytesMax the name of a place.
	settingsMax, valueBytesMax, nameBytesMax = 64, 1000, 1000
)

var (
	keyForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	numberForm = regexp.MustCompile(`^[0-9]{1,18}(\.[0-9]{1,9})?$`)
)

// place returns where an override holds: what kind of block, and its name.
func place(o *admin.Override) (what, name string, n int) {
	for _, p := range []struct{ what, name string }{{"listener", o.Listener}, {"route", o.Route}, {"upstream", o.Upstream}} {
		if p.name != "" {
			what, name = p.what, p.name
			n++
		}
	}
	return what, name, n
}

// fragment returns what an override says as KDL 2.
func fragment(o *admin.Override) (string, error) {
	k, ok := kindOf(o.Kind)
	if !ok {
		return "", problem(http.StatusBadRequest, "there is no kind %q of emergency changes: %s", o.Kind, strings.Join(admin.OverrideKinds(), ", "))
	}
	what, name, n := place(o)
	switch {
	case n > 1:
		return "", problem(http.StatusBadRequest, "one place at a time: a listener, a route or an upstream")
	case !slices.Contains(k.places, what) && what == "":
		return "", problem(http.StatusBadRequest, "%s wants a %s", o.Kind, strings.Join(k.places, " or "))
	case !slices.Contains(k.places, what):
		return "", problem(http.StatusBadRequest, "%s doesn't hold for one %s", o.Kind, what)
	case len(name) > nameBytesMax:
		return "", problem(http.StatusBadRequest, "a name of %d bytes is too long", len(name))
	case k.wants != "" && len(o.Settings) == 0:
		return "", problem(http.StatusBadRequest, "%s wants %s", o.Kind, k.wants)
	}
	text, err := settings(append(slices.Clone(o.Settings), k.always...))
	if err != nil {
		return "", err
	}
	switch {
	case k.block == "rate-limit":
		text = fmt.Sprintf("rate-limit %s { %s }", quote(fmt.Sprintf("emergency-%d", o.ID)), text)
	case k.block != "" && text == "":
		text = k.block
	case k.block != "":
		text = k.block + " { " + text + " }"
	}
	if what != "" {
		text = fmt.Sprintf("%ss { %s %s { %s } }", what, what, quote(name), text)
	}
	return text, nil
}

// settings writes settings as KDL; values of one key go together.
func settings(list []admin.Setting) (string, error) {
	if len(list) > settingsMax {
		return "", problem(http.StatusBadRequest, "%d settings are more than %d", len(list), settingsMax)
	}
	var keys, texts []string
	for _, s := range list {
		if !keyForm.MatchString(s.Key) || len(s.Value) > valueBytesMax {
			return "", problem(http.StatusBadRequest, "%q is no key with a value", s.Key)
		}
		if i := slices.Index(keys, s.Key); i >= 0 {
			texts[i] += " " + literal(s.Value)
			continue
		}
		keys, texts = append(keys, s.Key), append(texts, s.Key+" "+literal(s.Value))
	}
	return strings.Join(texts, "; "), nil
}

func literal(value string) string {
	if numberForm.MatchString(value) || value == "#true" || value == "#false" {
		return value
	}
	return quote(value)
}

// quote writes a string of KDL 2, no part of which is taken for an environment variable.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ReplaceAll(s, "${", "$${") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Words says what an override does: `route "api": timeouts request-secs 60`.
func Words(o *admin.Override) string {
	var b strings.Builder
	if what, name, _ := place(o); what != "" {
		fmt.Fprintf(&b, "%s %q: ", what, name)
	}
	b.WriteString(o.Kind)
	for i, s := range o.Settings {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s %s", s.Key, literal(s.Value))
	}
	return b.String()
}

func problem(status int, format string, args ...any) error {
	return &admin.Problem{Status: status, Message: fmt.Sprintf(format, args...)}
}
