package kdl

import (
	"errors"
	"math"
	"testing"
)

// edits on a small file with comments in all places.
const editSource = `// head
a 1 x="old" // behind a

/* b */ b { // in b
    // above c
    c 1; d 2 // behind d
    e
}
f { g 1; h 2 }
i`

func TestEdit(t *testing.T) {
	tests := []struct {
		name, src string
		edit      func(d *Document) error
		want      string
	}{
		{"set argument", "a /* c */ (u8)1 2 // end\n", func(d *Document) error {
			return d.SetValue(d.Child("a").Arg(0), IntValue(60))
		}, "a /* c */ (u8)60 2 // end\n"},
		{"set twice", "a 1\n", func(d *Document) error {
			return errors.Join(d.SetValue(d.Child("a").Arg(0), IntValue(2)), d.SetValue(d.Child("a").Arg(0), StringValue("x\"\n")))
		}, "a \"x\\\"\\n\"\n"},
		{"set property", editSource, func(d *Document) error {
			return d.SetProp(d.Child("a"), "x", BoolValue(true))
		}, replace(editSource, `"old"`, "#true")},
		{"set rightmost property", "a x=1 x=2\n", func(d *Document) error {
			return d.SetProp(d.Child("a"), "x", NullValue())
		}, "a x=1 x=#null\n"},
		{"add property", editSource, func(d *Document) error {
			return d.SetProp(d.Child("i"), "k k", FloatValue(0.5))
		}, editSource + ` "k k"=0.5`},
		{"add argument before block", "a 1 {\n    b\n}\n", func(d *Document) error {
			return d.AddArg(d.Child("a"), IntValue(-2))
		}, "a 1 -2 {\n    b\n}\n"},
		{"version 1 literals", "/- kdl-version 1\na 1 2 3\n", func(d *Document) error {
			a := d.Child("a")
			return errors.Join(d.SetValue(a.Arg(0), BoolValue(false)), d.SetValue(a.Arg(1), NullValue()), d.SetProp(a, "true", StringValue("a")))
		}, "/- kdl-version 1\na false null 3 \"true\"=\"a\"\n"},
		{"remove entry", "a 1 x=2 \\\n   3\n", func(d *Document) error {
			return d.RemoveEntry(d.Child("a").Prop("x"))
		}, "a 1 \\\n   3\n"},
		{"insert before", editSource, func(d *Document) error {
			return d.InsertBefore(d.Child("a"), "new   1 { x; }")
		}, "new 1 { x }\n" + editSource},
		{"insert before in block", editSource, func(d *Document) error {
			return d.InsertBefore(d.Child("b").Child("c"), "new")
		}, replace(editSource, "    // above c\n", "    new\n    // above c\n")},
		{"insert before on a line", editSource, func(d *Document) error {
			return d.InsertBefore(d.Child("f").Child("g"), "new")
		}, replace(editSource, "{ g", "{ new; g")},
		{"insert before on a line with comment", editSource, func(d *Document) error {
			return d.InsertBefore(d.Child("f").Child("g"), "new // c")
		}, replace(editSource, "{ g", "{ new // c\ng")},
		{"insert after", editSource, func(d *Document) error {
			return d.InsertAfter(d.Child("a"), "new")
		}, replace(editSource, "// behind a\n", "// behind a\nnew\n")},
		{"insert after at the end", editSource, func(d *Document) error {
			return d.InsertAfter(d.Child("i"), "new")
		}, editSource + "\nnew\n"},
		{"insert after twice", "a\nb\n", func(d *Document) error {
			return errors.Join(d.InsertAfter(d.Child("a"), "x"), d.InsertAfter(d.Child("a"), "y"))
		}, "a\nx\ny\nb\n"},
		{"insert after on a line", editSource, func(d *Document) error {
			return d.InsertAfter(d.Child("f").Child("h"), `u "http://x"`)
		}, replace(editSource, "h 2 }", `h 2; u "http://x" }`)},
		{"append to block", editSource, func(d *Document) error {
			return d.AppendChild(d.Child("b"), "new 1\nnew 2")
		}, replace(editSource, "    e\n", "    e\n    new 1\n    new 2\n")},
		{"append to block on a line", editSource, func(d *Document) error {
			return d.AppendChild(d.Child("f"), "new")
		}, replace(editSource, "h 2 }", "h 2; new }")},
		{"append to empty block", "a {}\n", func(d *Document) error {
			return d.AppendChild(d.Child("a"), "new")
		}, "a {\n    new\n}\n"},
		{"append to no block", "a 1 /-2 // c\n", func(d *Document) error {
			return d.AppendChild(d.Child("a"), "new")
		}, "a 1 /-2 {\n    new\n} // c\n"},
		{"append to ragged block", "a {\n  b }\n", func(d *Document) error {
			return d.AppendChild(d.Child("a"), "new")
		}, "a {\n  b \n  new\n}\n"},
		{"append to document", editSource, func(d *Document) error {
			return d.AppendChild(nil, "new")
		}, editSource + "\nnew\n"},
		{"append to empty document", "", func(d *Document) error {
			return d.AppendChild(nil, "new")
		}, "new\n"},
		{"remove", editSource, func(d *Document) error {
			return d.Remove(d.Child("a"))
		}, replace(editSource, "a 1 x=\"old\" // behind a\n", "")},
		{"remove on a line", editSource, func(d *Document) error {
			return errors.Join(d.Remove(d.Child("b").Child("c")), d.Remove(d.Child("f").Child("h")))
		}, replace(replace(editSource, "c 1; ", ""), "h 2 ", "")},
		{"remove last on a line", editSource, func(d *Document) error {
			return d.Remove(d.Child("b").Child("d"))
		}, replace(editSource, "; d 2 //", "; //")},
		{"remove after change", editSource, func(d *Document) error {
			return errors.Join(d.SetValue(d.Child("f").Child("g").Arg(0), IntValue(5)), d.Remove(d.Child("f")))
		}, replace(editSource, "f { g 1; h 2 }\n", "")},
		{"carriage returns", "a\r\n// c\r\nb\r\n", func(d *Document) error {
			return d.InsertBefore(d.Child("b"), "new")
		}, "a\r\nnew\n// c\r\nb\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, ds := Parse("t", []byte(test.src), Options{})
			if ds.HasErrors() {
				t.Fatal(ds)
			}
			if err := test.edit(d); err != nil {
				t.Fatal(err)
			}
			if got := string(d.AppendText(nil)); got != test.want {
				t.Errorf("edited text\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// replace is strings.Replace for a text that must be there once.
func replace(s, old, new string) string {
	for i := range s {
		if len(s)-i >= len(old) && s[i:i+len(old)] == old {
			return s[:i] + new + s[i+len(old):]
		}
	}
	panic("no " + old)
}

func TestEditRefused(t *testing.T) {
	tests := []struct {
		name, src string
		edit      func(d *Document) error
		want      error
	}{
		{"value of removed node", "a 1\nb\n", func(d *Document) error {
			a := d.Child("a")
			if err := d.Remove(a); err != nil {
				return err
			}
			return d.SetValue(a.Arg(0), IntValue(2))
		}, ErrEditOverlap},
		{"fragment with errors", "a\n", func(d *Document) error { return d.InsertAfter(d.Child("a"), "b {") }, ErrEditResult},
		{"infinity in version 1", "/- kdl-version 1\na 1\n", func(d *Document) error {
			return d.SetValue(d.Child("a").Arg(0), FloatValue(math.Inf(1)))
		}, ErrEditVersion},
		{"after a continued end", "a \\", func(d *Document) error { return d.AppendChild(nil, "b") }, ErrEditResult},
	}
	for _, test := range tests {
		d, _ := Parse("t", []byte(test.src), Options{})
		err := test.edit(d)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
	}
}
