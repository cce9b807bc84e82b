package kdl

import (
	"math"
	"testing"
)

func TestNodeAccess(t *testing.T) {
	doc, ds := Parse("t", []byte("a 1 k=2 3 k=4 { b 1; c; b 2 }\nd 5 6\ne k=1\n"), Options{})
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	a := doc.Child("a")
	if args := a.Args(); len(args) != 2 || args[1].Value.Raw != "3" {
		t.Errorf("arguments of a = %v, want 1 and 3", args)
	}
	if got := a.Arg(1); got == nil || got.Value.Raw != "3" {
		t.Errorf("Arg(1) = %v, want 3", got)
	}
	if got := a.Arg(2); got != nil {
		t.Errorf("Arg(2) = %v, want nil", got)
	}
	if got := a.Prop("k"); got == nil || got.Value.Raw != "4" {
		t.Errorf("Prop(k) = %v, want 4", got)
	}
	if got := a.Prop("x"); got != nil {
		t.Errorf("Prop(x) = %v, want nil", got)
	}
	if got := a.Child("b"); got == nil || got.Arg(0).Value.Raw != "1" {
		t.Errorf("Child(b) = %v, want the first", got)
	}
	if doc.Child("x") != nil || a.Child("x") != nil {
		t.Error("Child(x) is not nil")
	}
	if len(doc.Child("d").Args()) != 2 || doc.Child("e").Args() != nil {
		t.Error("arguments of d and e are wrong")
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct {
		raw     string
		whole   int64
		isWhole bool
		float   float64
		isFloat bool
	}{
		{"0", 0, true, 0, true},
		{"-5", -5, true, -5, true},
		{"+5", 5, true, 5, true},
		{"1_000_", 1000, true, 1000, true},
		{"010", 10, true, 10, true},
		{"0xFf", 255, true, 255, true},
		{"-0x1_0", -16, true, -16, true},
		{"+0o17", 15, true, 15, true},
		{"0b101", 5, true, 5, true},
		{"1.5", 0, false, 1.5, true},
		{"1e3", 0, false, 1000, true},
		{"-2_0.2_5E-1", 0, false, -2.025, true},
		{"9223372036854775807", math.MaxInt64, true, math.MaxInt64, true},
		{"-9223372036854775808", math.MinInt64, true, math.MinInt64, true},
		{"9223372036854775808", 0, false, 9223372036854775808, true},
		{"0xFFFFFFFFFFFFFFFF", 0, false, 0, false},
		{"1e999", 0, false, 0, false},
		{"#inf", 0, false, math.Inf(1), true},
		{"#-inf", 0, false, math.Inf(-1), true},
		{"#nan", 0, false, math.NaN(), true},
	}
	for _, test := range tests {
		v := Value{Kind: Number, Raw: test.raw}
		if got, ok := v.Int64(); ok != test.isWhole || ok && got != test.whole {
			t.Errorf("Int64(%s) = %v, %v, want %v, %v", test.raw, got, ok, test.whole, test.isWhole)
		}
		got, ok := v.Float64()
		same := got == test.float || math.IsNaN(got) && math.IsNaN(test.float)
		if ok != test.isFloat || ok && !same {
			t.Errorf("Float64(%s) = %v, %v, want %v, %v", test.raw, got, ok, test.float, test.isFloat)
		}
	}
	text := StringValue("1")
	if _, ok := text.Int64(); ok {
		t.Error("Int64 of a string is a number")
	}
	if _, ok := text.Float64(); ok {
		t.Error("Float64 of a string is a number")
	}
}
