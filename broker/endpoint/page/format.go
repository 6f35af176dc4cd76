package page

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// functions are what templates may call.
func functions() template.FuncMap {
	return template.FuncMap{
		"icon":     icon,
		"initial":  initial,
		"roleLink": roleLink,
		"choosePath": func(console bool) string {
			if console {
				return "/console"
			}
			return "/keys"
		},
		"span":    span,
		"seconds": func(d time.Duration) int { return max(0, int(d.Seconds())) },
		"clock":   func(t time.Time) string { return t.UTC().Format("15:04 UTC") },
		"exact":   func(t time.Time) string { return t.UTC().Format("15:04:05 UTC") },
		"moment":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
		"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
}

// icon draws one of the icons, 16 by 16, for eyes only.
func icon(name string) (template.HTML, error) {
	paths := map[string]template.HTML{
		"copy":    `<path d="M5.5 5.5h8v8h-8z"/><path d="M10.5 5.5v-3h-8v8h3"/>`,
		"failed":  `<path d="m4 4 8 8m0-8-8 8"/>`,
		"held":    `<path d="m3 8.5 3.2 3.2L13 5"/>`,
		"info":    `<circle cx="8" cy="8" r="6"/><path d="M8 7.3v3.7M8 5v.1"/>`,
		"lock":    `<path d="M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5"/>`,
		"next":    `<path d="m6 3 5 5-5 5"/>`,
		"out":     `<path d="M6 3H3v10h10v-3M9 3h4v4m0-4L7.5 8.5"/>`,
		"scheme":  `<circle cx="8" cy="8" r="5.5"/><path d="M8 2.5a5.5 5.5 0 0 1 0 11z" fill="currentColor"/>`,
		"search":  `<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.5 3.5"/>`,
		"skipped": `<path d="M3.5 8h9"/>`,
		"warn":    `<path d="M8 2.5 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1"/>`,
	}
	path, ok := paths[name]
	if !ok {
		return "", fmt.Errorf("no icon %q", name)
	}
	return `<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">` + path + `</svg>`, nil
}

// initial is the first letter of a provider's label, for the tile beside it.
func initial(label string) string {
	for _, r := range label {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "·"
}

// roleLink is the stable address of a page of a role. The slash between account
// and role stays readable, as people share these links.
func roleLink(path, ref string) template.URL {
	return template.URL(RoleURL(path, ref)) //nolint:gosec // every part is query-escaped
}

// RoleURL is path?role=ref with the slashes of ref unescaped.
func RoleURL(path, ref string) string {
	return path + "?role=" + strings.ReplaceAll(url.QueryEscape(ref), "%2F", "/")
}

// span writes a duration for people: "8 h", "1 h 30 min", "58 min", "3:20".
func span(d time.Duration) string {
	seconds := max(0, int(d.Seconds()))
	hours, minutes := seconds/3600, seconds/60
	switch {
	case hours > 0 && minutes%60 == 0:
		return strconv.Itoa(hours) + " h"
	case hours > 0:
		return fmt.Sprintf("%d h %02d min", hours, minutes%60)
	case minutes >= 5:
		return strconv.Itoa(minutes) + " min"
	}
	return fmt.Sprintf("%d:%02d", minutes, seconds%60)
}

// counted is "1 role", "2,400 roles".
func counted(n int, noun string) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n == 1 {
		return digits + " " + noun
	}
	return digits + " " + noun + "s"
}
