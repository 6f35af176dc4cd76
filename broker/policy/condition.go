package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// readable is all that a condition may read. They are declared by their whole
// dotted names, so that a misspelt one is a fault when the policy is compiled,
// and reading one costs one look-up and no map.
func readable() map[string]*cel.Type {
	return map[string]*cel.Type{
		"identity.id":               cel.StringType,
		"identity.provider":         cel.StringType,
		"identity.subject":          cel.StringType,
		"identity.username":         cel.StringType,
		"identity.groups":           cel.ListType(cel.StringType),
		"identity.attributes":       cel.MapType(cel.StringType, cel.ListType(cel.StringType)),
		"identity.methods":          cel.ListType(cel.StringType),
		"identity.mfa":              cel.BoolType,
		"identity.authenticated_at": cel.TimestampType,
		"request.ip":                cel.StringType,
		"request.role":              cel.StringType,
		"request.via":               cel.StringType,
		"request.app":               cel.StringType,
		"request.guest":             cel.BoolType,
		"time":                      cel.TimestampType,
		"device":                    cel.StringType,
	}
}

// environment is the language of `when`.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{ext.Network(), cel.DefaultUTCTimeZone(true), cel.ParserExpressionSizeLimit(8192)}
	for name, kind := range readable() {
		options = append(options, cel.Variable(name, kind))
	}
	return cel.NewEnv(options...)
})

// undeclared is how CEL says that a name is unknown; of identity.nope it names
// the part before the dot only.
var undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)

// wordFault says a CEL mistake to whoever wrote the condition.
func wordFault(message string) string {
	found := undeclared.FindStringSubmatch(message)
	if found == nil {
		return message
	}
	known := slices.Sorted(maps.Keys(readable()))
	return fmt.Sprintf("nothing of that name under %q; a condition may read %s", found[1], strings.Join(known, ", "))
}

// condition is one compiled `when`.
type condition struct {
	program cel.Program
	text    string
	// perRole is true where the answer depends on request.role.
	perRole bool
}

// compileCondition type-checks a `when` and reports each mistake at its line.
func compileCondition(when config.Text, faults *config.Faults) *condition {
	env, err := environment()
	if err != nil {
		faults.Add(when.Pos, "when: the CEL environment does not start: %v", err)
		return nil
	}
	checked, issues := env.Compile(when.Value)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			at := when.Pos
			if at.Line > 0 && e.Location.Line() > 1 {
				at.Line += e.Location.Line() - 1
			}
			faults.Add(at, "when: column %d: %s", e.Location.Column()+1, wordFault(e.Message))
		}
		return nil
	}
	if checked.OutputType() != cel.BoolType {
		faults.Add(when.Pos, "when: the condition gives %s, not true or false", checked.OutputType())
		return nil
	}
	c := condition{text: when.Value}
	root := ast.NavigateAST(checked.NativeRep())
	if inner := nestedLoop(root); inner != nil {
		faults.Add(when.Pos, "when: column %d: a loop inside a loop, over anything but a list written out, takes too long for people in many groups",
			checked.NativeRep().SourceInfo().GetStartLocation(inner.ID()).Column()+1)
		return nil
	}
	for _, reference := range checked.NativeRep().ReferenceMap() {
		c.perRole = c.perRole || reference.Name == "request.role"
	}
	if c.program, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize)); err != nil {
		faults.Add(when.Pos, "when: %v", err)
		return nil
	}
	return &c
}

// nestedLoop finds a loop in the body of another, where neither runs over a list
// that is written out. Without one, an evaluation costs
// at most the length of the text times the number of a person's groups or values:
// that is the bound on conditions. (CEL's own cost limit is counted while it runs;
// in cel-go 0.32 the counting itself takes quadratic time in a loop.)
func nestedLoop(root ast.NavigableExpr) ast.NavigableExpr {
	writtenOut := func(loop ast.NavigableExpr) bool { return loop.AsComprehension().IterRange().Kind() == ast.ListKind }
	for _, inner := range ast.MatchDescendants(root, ast.KindMatcher(ast.ComprehensionKind)) {
		if writtenOut(inner) {
			continue
		}
		child := inner
		for parent, ok := inner.Parent(); ok; parent, ok = parent.Parent() {
			if parent.Kind() == ast.ComprehensionKind && !writtenOut(parent) && parent.AsComprehension().IterRange().ID() != child.ID() {
				return inner
			}
			child = parent
		}
	}
	return nil
}

var errUnset = errors.New("a variable is not set")

// holds evaluates the condition. An error means that it cannot be said.
func (c *condition) holds(vars *variables) (bool, error) {
	out, _, err := c.program.Eval(vars)
	if err != nil {
		if vars.unset != "" {
			return false, fmt.Errorf("%w: %s", errUnset, vars.unset)
		}
		return false, err
	}
	held, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the condition gave %v", out.Type())
	}
	return held, nil
}

// variables gives CEL what it asks for, when it asks.
type variables struct {
	id     *idp.Identity
	ask    *Ask
	groups *groupSet
	role   string
	unset  string // the last variable asked for that has no value
}

// Parent implements cel.Activation.
func (v *variables) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (v *variables) ResolveName(name string) (any, bool) {
	switch name {
	case "identity.id":
		return types.String(v.id.StableID()), true
	case "identity.provider":
		return types.String(v.id.Provider), true
	case "identity.subject":
		return types.String(v.id.Subject), true
	case "identity.username":
		return types.String(v.id.Username), true
	case "identity.groups":
		return v.groups.forCEL(), true
	case "identity.attributes":
		return types.DefaultTypeAdapter.NativeToValue(v.id.Attributes), true
	case "identity.methods":
		return types.NewStringList(types.DefaultTypeAdapter, v.id.Methods), true
	case "identity.mfa":
		return types.Bool(v.id.MFA()), true
	case "request.via":
		return types.String(v.ask.Via), true
	case "request.guest":
		return types.Bool(v.ask.Guest), true
	}
	if value, set := v.optional(name); set {
		return value, true
	}
	v.unset = name
	return nil, false
}

// optional gives the variables that a request need not have.
func (v *variables) optional(name string) (any, bool) {
	switch name {
	case "identity.authenticated_at":
		return types.Timestamp{Time: v.id.AuthenticatedAt}, !v.id.AuthenticatedAt.IsZero()
	case "request.ip":
		return types.String(v.ask.Address.Unmap().WithZone("").String()), v.ask.Address.IsValid()
	case "request.role":
		return types.String(v.role), v.role != ""
	case "request.app":
		return types.String(v.ask.App), v.ask.App != ""
	case "time":
		return types.Timestamp{Time: v.ask.Time}, !v.ask.Time.IsZero()
	case "device":
		return types.String(v.ask.Device), v.ask.Device != ""
	}
	return nil, false
}

// When gives the condition of a grant as the file has it, "" where it has none.
func (p *Policy) When(grant string) string {
	for _, g := range p.grants {
		if g.name == grant && g.when != nil {
			return g.when.text
		}
	}
	return ""
}
