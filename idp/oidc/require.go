package oidc

import (
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// conditionCost bounds the work of one evaluation.
const conditionCost = 100_000

// condition is a compiled `require`: CEL over the variable claims.
type condition struct {
	text    string
	program cel.Program
	// partial answers about claims that are not all known; ast is what was written.
	partial cel.Program
	ast     *cel.Ast
}

// compileRequire compiles a condition, nil for an empty one.
func compileRequire(text config.Text, faults *config.Faults) *condition {
	if text.Value == "" {
		return nil
	}
	env, err := cel.NewEnv(cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)))
	if err != nil {
		faults.Add(text.Pos, "require: %v", err)
		return nil
	}
	ast, issues := env.Compile(text.Value)
	if issues != nil && issues.Err() != nil {
		first := strings.TrimPrefix(issues.Errors()[0].Message, "undeclared reference to ")
		faults.Add(text.Pos, "require: %s; it is a CEL condition over claims, such as claims.hd == \"example.com\"", first)
		return nil
	}
	if kind := ast.OutputType(); !kind.IsExactType(cel.BoolType) && !kind.IsExactType(cel.DynType) {
		faults.Add(text.Pos, "require gives %s, not true or false", kind)
		return nil
	}
	program, err := env.Program(ast, cel.CostLimit(conditionCost))
	if err != nil {
		faults.Add(text.Pos, "require: %v", err)
		return nil
	}
	partial, err := env.Program(ast, cel.CostLimit(conditionCost), cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		faults.Add(text.Pos, "require: %v", err)
		return nil
	}
	return &condition{text.Value, program, partial, ast}
}

// holds demands that the condition is true. A missing claim, as every other error
// of evaluation, makes it false.
func (c *condition) holds(claims object) error {
	if c == nil {
		return nil
	}
	result, _, err := c.program.Eval(map[string]any{"claims": claims.native()})
	if err != nil {
		return &idp.Rejection{Reason: "require", Detail: "the condition cannot be answered: " + err.Error(), Cause: err}
	}
	if yes, ok := result.Value().(bool); !ok || !yes {
		return idp.Reject("require", "the claims do not meet the provider's condition %s", c.text)
	}
	return nil
}

// native gives claims to CEL: whole numbers as int, others as double.
func (o object) native() map[string]any {
	m := make(map[string]any, len(o))
	for _, member := range o {
		m[member.name] = member.value.native()
	}
	return m
}

func (v value) native() any {
	switch v.kind {
	case kindBool:
		return v.text == "true"
	case kindText:
		return v.text
	case kindNumber:
		if n, err := strconv.ParseInt(v.text, 10, 64); err == nil {
			return n
		}
		f, err := strconv.ParseFloat(v.text, 64)
		if err != nil {
			return nil
		}
		return f
	case kindList:
		list := make([]any, len(v.list()))
		for i, item := range v.list() {
			list[i] = item.native()
		}
		return list
	case kindObject:
		return v.object().native()
	}
	return nil
}
