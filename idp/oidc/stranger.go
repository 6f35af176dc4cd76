package oidc

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/rolecall/rolecall/config"
)

// strangers are tokens that anybody can have at a provider whose issuer serves the
// world: their own repository, with whatever branch, environment or event they like.
// A `require` that one of them passes, or may pass, protects nothing.
type strangers struct {
	// whose are the claims that say whose job it is, in the words of a stranger. Any
	// other claim may be whatever the condition wants.
	whose map[string]any
	// heads are what the stranger's sub may begin with, up to what they choose; prefix
	// is what each sub begins with.
	heads   []string
	prefix  string
	what    string
	example string
}

func strangersOf(preset string) (strangers, bool) {
	switch preset {
	case "github-actions":
		return strangers{
			whose: map[string]any{
				"repository": "stranger-of-no-name/stranger", "repository_id": "990000000000001",
				"repository_owner": "stranger-of-no-name", "repository_owner_id": "990000000000002",
				"enterprise": "stranger-of-no-name", "enterprise_id": "990000000000003",
			},
			// Repositories made since July 2026 have their ids in the subject.
			heads:   []string{"repo:stranger-of-no-name/stranger", "repo:stranger-of-no-name@990000000000002/stranger@990000000000001"},
			prefix:  "repo:",
			what:    "a workflow in anybody's repository at GitHub",
			example: `claims.repository_owner_id == "1234" && claims.ref == "refs/heads/main"`,
		}, true
	case "gitlab-ci":
		return strangers{
			whose: map[string]any{
				"project_id": "990000000000001", "project_path": "stranger-of-no-name/stranger",
				"namespace_id": "990000000000002", "namespace_path": "stranger-of-no-name",
			},
			heads:   []string{"project_path:stranger-of-no-name/stranger"},
			prefix:  "project_path:",
			what:    "a job in anybody's project at GitLab",
			example: `claims.namespace_id == "1234" && claims.ref_protected == "true"`,
		}, true
	}
	return strangers{}, false
}

// judgeStrangers faults a condition that does not keep strangers out. The check is
// made by asking the condition itself.
func judgeStrangers(c config.Provider, condition *condition, faults *config.Faults) {
	s, ok := strangersOf(c.Preset.Value)
	if !ok || condition == nil {
		return
	}
	named, texts := condition.reads()
	var unknown []string
	for name := range named {
		if _, fixed := s.whose[name]; !fixed && name != "sub" && name != "iss" && name != "aud" {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, sub := range s.subs(texts) {
		claims := maps.Clone(s.whose)
		claims["sub"], claims["iss"], claims["aud"] = sub, c.Issuer.Value, c.ClientID.Value
		if condition.mayHold(claims, unknown) {
			faults.Add(c.Require.Pos, "require: %s may pass it (such as sub %q); say whose count, such as %s", s.what, sub, s.example)
			return
		}
	}
}

// subs are subjects that a stranger can have: the usual one, and for each text of the
// condition one that ends as the text does.
func (s strangers) subs(texts []string) []string {
	tails := []string{"ref:refs/heads/main"}
	for _, text := range texts {
		tail := text
		if rest, whole := strings.CutPrefix(text, s.prefix); whole {
			_, tail, whole = strings.Cut(rest, ":")
			if !whole {
				continue
			}
		}
		tails = append(tails, strings.TrimPrefix(tail, ":"))
	}
	var subs []string
	for _, head := range s.heads {
		for _, tail := range tails {
			subs = append(subs, head+":"+tail)
		}
	}
	return subs
}

// reads lists the claims that a condition names, and the texts in it.
func (c *condition) reads() (named map[string]bool, texts []string) {
	named = map[string]bool{}
	root := ast.NavigateAST(c.ast.NativeRep())
	isClaims := func(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "claims" }
	for _, e := range ast.MatchDescendants(root, func(ast.NavigableExpr) bool { return true }) {
		switch e.Kind() {
		case ast.SelectKind:
			if s := e.AsSelect(); isClaims(s.Operand()) {
				named[s.FieldName()] = true
			}
		case ast.CallKind:
			args := e.AsCall().Args()
			if e.AsCall().FunctionName() == "_[_]" && isClaims(args[0]) && args[1].Kind() == ast.LiteralKind {
				named[fmt.Sprint(args[1].AsLiteral().Value())] = true
			}
		case ast.LiteralKind:
			if text, ok := e.AsLiteral().Value().(string); ok {
				texts = append(texts, text)
			}
		}
	}
	return named, texts
}

// mayHold asks the condition about claims of which some are not known.
func (c *condition) mayHold(claims map[string]any, unknown []string) bool {
	var patterns []*cel.AttributePatternType
	for _, name := range unknown {
		patterns = append(patterns, cel.AttributePattern("claims").QualString(name))
	}
	vars, err := cel.PartialVars(map[string]any{"claims": claims}, patterns...)
	if err != nil {
		return true
	}
	out, _, err := c.partial.Eval(vars)
	if err != nil { // a claim that is missing makes it false
		return false
	}
	return types.IsUnknown(out) || out.Value() == true
}

// warnOfPatterns finds what looks like a whole text and compares a part: matches looks
// anywhere in a text, and a beginning without its end has other endings.
func warnOfPatterns(c config.Provider, condition *condition, warnings *config.Faults) {
	if condition == nil {
		return
	}
	root := ast.NavigateAST(condition.ast.NativeRep())
	for _, e := range ast.MatchDescendants(root, ast.KindMatcher(ast.CallKind)) {
		call := e.AsCall()
		if !call.IsMemberFunction() || len(call.Args()) != 1 || call.Args()[0].Kind() != ast.LiteralKind {
			continue
		}
		text, ok := call.Args()[0].AsLiteral().Value().(string)
		switch {
		case !ok:
		case call.FunctionName() == "matches" && (!strings.HasPrefix(text, "^") && !strings.HasPrefix(text, `\A`) || !strings.HasSuffix(text, "$") && !strings.HasSuffix(text, `\z`)):
			warnings.Add(c.Require.Pos, "require: matches(%q) looks for the pattern anywhere in the text; begin it with ^ and end it with $", text)
		case call.FunctionName() == "startsWith" && c.Machine() && text != "" && !strings.ContainsAny(text[len(text)-1:], ":/@="):
			warnings.Add(c.Require.Pos, "require: startsWith(%q) holds for %q too; let it end with the character that ends a name, : or /", text, text+"-evil")
		}
	}
}
