package directory

// ParsePasskeyBodies parses as both halves do and counts what it took.
func ParsePasskeyBodies(body []byte) int {
	n := 0
	if _, err := parseCreation(body); err == nil {
		n++
	}
	if _, err := parseAssertion(body); err == nil {
		n++
	}
	return n
}

// CleanCode is cleanCode.
func CleanCode(typed string) string { return cleanCode(typed, false) }
