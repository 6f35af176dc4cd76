package portal

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// references are the names that links give to accounts: the account's name where
// it is plain and unique, else its number.
type references map[string]string // account id -> name in links

var plainName = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

func referencesOf(roles []broker.Role) references {
	owner := map[string]string{}
	for _, r := range roles {
		name := strings.ToLower(r.AccountName)
		if id, taken := owner[name]; taken && id != r.AccountID {
			owner[name] = "" // two accounts of one name
		} else if !taken {
			owner[name] = r.AccountID
		}
	}
	names := references{}
	for _, r := range roles {
		if _, done := names[r.AccountID]; done {
			continue
		}
		names[r.AccountID] = r.AccountID
		if plainName.MatchString(r.AccountName) && owner[strings.ToLower(r.AccountName)] == r.AccountID {
			names[r.AccountID] = r.AccountName
		}
	}
	return names
}

// ref is ACCOUNT/ROLE as links have it.
func (n references) ref(role broker.Role) string { return n[role.AccountID] + "/" + role.ARN.Name }

// means reports whether a link's text names the role: ACCOUNT/ROLE by name or
// number, with or without the path, or the ARN.
func (n references) means(text string, role broker.Role) bool {
	if text == role.ARN.String() {
		return true
	}
	account, name, ok := strings.Cut(text, "/")
	return ok && (account == role.AccountID || account == n[role.AccountID]) &&
		(name == role.ARN.Name || "/"+name == role.ARN.Path+role.ARN.Name)
}

func accountName(role broker.Role) string {
	if role.AccountName == "" {
		return role.AccountID
	}
	return role.AccountName
}

// accounts makes the lines of the list: accounts by name, in each the roles that
// can be opened, the one used last first, else the least powerful, then those withheld.
func accounts(roles []broker.Role, kept account.Marks) []page.Account {
	names := referencesOf(roles)
	type placed struct {
		*broker.Role
		account string
		used    int
		rank    int
	}
	ordered := make([]placed, len(roles))
	for i, r := range roles {
		ordered[i] = placed{&roles[i], strings.ToLower(accountName(r)), usedBefore(r, kept), rank(r)}
	}
	slices.SortStableFunc(ordered, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.AccountID, b.AccountID), cmp.Compare(a.used, b.used), cmp.Compare(a.rank, b.rank))
	})
	var lines []page.Account
	for _, r := range ordered {
		if n := len(lines); n == 0 || lines[n-1].ID != r.AccountID {
			mark := kept.Marks[r.AccountID]
			lines = append(lines, page.Account{
				ID: r.AccountID, Name: accountName(*r.Role), Label: mark.Label, Colour: mark.Colour, Favourite: mark.Favourite,
			})
		}
		line := &lines[len(lines)-1]
		line.Roles = append(line.Roles, page.ListedRole{
			Name: r.ARN.Name, Ref: names.ref(*r.Role), Console: r.Console, Withheld: r.Withheld != "",
		})
	}
	return lines
}

var (
	mighty   = regexp.MustCompile(`(?i)admin|power[-_]?user|super[-_]?user|full[-_]?access|break[-_]?glass|root|owner`)
	harmless = regexp.MustCompile(`(?i)read[-_]?only|view[-_]?only|viewer|reader|audit|billing`)
)

// rank guesses a role's power by its name, so that Enter never means Admin by
// alphabet. Nothing is decided by it but the order on the page.
func rank(role broker.Role) int {
	switch {
	case role.Withheld != "":
		return 3
	case mighty.MatchString(role.ARN.Name):
		return 2
	case harmless.MatchString(role.ARN.Name):
		return 0
	}
	return 1
}

// search keeps what fits the query, as the script does: each word must be found
// in the account's name or number or in the role's name; where nothing fits, the
// letters of the query in their order will do.
func search(query string, lines []page.Account) []page.Account {
	words := strings.FieldsFunc(strings.ToLower(query), func(r rune) bool { return r == ' ' || r == '/' || r == '\t' })
	if len(words) == 0 {
		return lines
	}
	found := keep(lines, func(account, id, role string) bool { return hasWords(words, account+" "+id, role) })
	if len(found) == 0 {
		letters := strings.Join(words, "")
		found = keep(lines, func(account, _, role string) bool { return stretches(letters, account+" "+role) })
	}
	return found
}

func keep(lines []page.Account, fits func(account, id, role string) bool) []page.Account {
	var found []page.Account
	for _, line := range lines {
		account := strings.ToLower(line.Name + " " + line.Label)
		var roles []page.ListedRole
		for _, r := range line.Roles {
			if fits(account, line.ID, strings.ToLower(r.Name)) {
				roles = append(roles, r)
			}
		}
		if len(roles) > 0 {
			line.Roles = roles
			found = append(found, line)
		}
	}
	return found
}

func hasWords(words []string, account, role string) bool {
	for _, w := range words {
		if !strings.Contains(account, w) && !strings.Contains(role, w) {
			return false
		}
	}
	return true
}

// stretches reports whether text holds the letters in order, close enough together.
func stretches(letters, text string) bool {
	for start := range text {
		if start > 0 && isWord(text[start-1]) {
			continue
		}
		at := start
		for i := 0; i < len(letters); i++ {
			next := strings.IndexByte(text[at:], letters[i])
			if next < 0 || (i == 0 && next > 0) {
				at = -1
				break
			}
			at += next + 1
		}
		if at > 0 && at-start <= len(letters)*4+4 {
			return true
		}
	}
	return false
}

func isWord(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
