package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// linesMax is how long a file may be.
const linesMax = 500

func TestShape(t *testing.T) {
	badName := regexp.MustCompile(`(^|/)(util|utils|common|helpers|base|types|misc)$`)
	for pkg, files := range sources(t) {
		if badName.MatchString(pkg) {
			t.Errorf("package %s is named for nothing", pkg)
		}
		documented := false
		for _, file := range files {
			documented = checkFile(t, file) || documented
		}
		if !documented {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

// checkFile checks one file and reports whether it holds the package comment.
func checkFile(t *testing.T, file string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > linesMax {
		t.Errorf("%s has %d lines, more than %d", file, n, linesMax)
	}
	for _, word := range []string{"TODO", "FIXME", "XXX"} {
		if strings.Contains(string(text), word) {
			t.Errorf("%s holds %s", file, word)
		}
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		checkDecl(t, set, d)
	}
	return f.Doc != nil
}

func checkDecl(t *testing.T, set *token.FileSet, d ast.Decl) {
	t.Helper()
	fn, ok := d.(*ast.FuncDecl)
	if !ok {
		return
	}
	at := set.Position(fn.Pos())
	if fn.Recv == nil && fn.Name.Name == "init" {
		t.Errorf("%s: init()", at)
	}
	if fn.Name.IsExported() && fn.Doc == nil && exportedReceiver(fn) {
		t.Errorf("%s: %s has no comment", at, fn.Name.Name)
	}
	table := fn.Body != nil && len(fn.Body.List) == 1 // one statement, however long, is data
	if n := set.Position(fn.End()).Line - at.Line; n > 90 && !table {
		t.Errorf("%s: %s has %d lines", at, fn.Name.Name, n)
	}
	if n := fn.Type.Params.NumFields(); n > 6 {
		t.Errorf("%s: %s takes %d parameters", at, fn.Name.Name, n)
	}
}

// exportedReceiver reports whether a function is seen from outside its package.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	expr := fn.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if index, ok := expr.(*ast.IndexExpr); ok {
		expr = index.X
	}
	id, ok := expr.(*ast.Ident)
	return ok && id.IsExported()
}

// TestWaitsThroughNetio keeps the data plane from waiting by other means.
func TestWaitsThroughNetio(t *testing.T) {
	waits := regexp.MustCompile(`time\.(Sleep|After|NewTimer|AfterFunc)\(|<-[a-z]|\bselect \{`)
	for _, pkg := range []string{"h1", "h2", "exchange", "message", "route", "filter", "upstream", "transport", "snapshot", "fault"} {
		files, _ := filepath.Glob(filepath.Join(root, "internal/dataplane", pkg, "*.go"))
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(text), "\n") {
				if waits.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "//") {
					t.Errorf("%s:%d waits outside of netio: %s", file, i+1, strings.TrimSpace(line))
				}
			}
		}
	}
}

// TestLinks checks that the pages of the repository lead to files that exist.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	pages, _ := filepath.Glob(root + "/*.md")
	more, _ := filepath.Glob(root + "/docs/*.md")
	attacks, _ := filepath.Glob(root + "/docs/attacks/*.md")
	for _, page := range append(append(pages, more...), attacks...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s leads to %s, which doesn't exist", page, m[1])
			}
		}
	}
}
