package endpoint

import "strings"

// maxAgent bounds what a program may call itself.
const maxAgent = 40

// agent makes a word for people of a User-Agent: "Firefox on Linux", "curl 8.5.0".
// It is what the client says of itself, so it names a session in a list and decides
// nothing.
func agent(header string) string {
	browser, system := firstIn(header, browsers), firstIn(header, systems)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	product, _, _ := strings.Cut(header, " ")
	name, version, _ := strings.Cut(product, "/")
	word := strings.Map(plain, strings.TrimSpace(name+" "+version))
	return word[:min(len(word), maxAgent)]
}

// plain keeps printable ASCII.
func plain(c rune) rune {
	if c < ' ' || c > '~' {
		return -1
	}
	return c
}

// browsers and systems are looked for in this order: each pretends to be those
// below it.
var (
	browsers = [][2]string{{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"HeadlessChrome/", "Chrome"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}
	systems = [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}}
)

func firstIn(header string, list [][2]string) string {
	for _, entry := range list {
		if strings.Contains(header, entry[0]) {
			return entry[1]
		}
	}
	return ""
}
