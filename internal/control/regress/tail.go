package regress

import "math"

const (
	// bursty is the dispersion from which burstySteps are looked at before anything is said.
	bursty      = 2
	burstySteps = 4
)

// dispersion returns by how much the shares of single steps vary more than by chance: 1
// means not more. It is what was before, or before and after together, whichever varies more.
func dispersion(before, after series) float64 {
	chi, freedom := scatter(before)
	more, f := scatter(after)
	d := 1.0
	if freedom >= 1 {
		d = max(d, chi/freedom)
	}
	if freedom+f >= 1 {
		d = max(d, (chi+more)/(freedom+f))
	}
	return d
}

// chance returns how likely it is that the share after is so much greater by chance: the
// greater of what two tests say. Fisher's is exact where failures are independent, and is
// told of bursts by counts divided by their dispersion. Student's knows that a dispersion is
// estimated from a few steps only, and supposes large counts.
func chance(before, after series) float64 {
	d := dispersion(before, after)
	if d > bursty && after.busy() < burstySteps {
		return 1
	}
	x1, n1 := before.sums()
	x2, n2 := after.sums()
	exact := tail(math.Round(x1/d), math.Round(n1/d), math.Floor(x2/d), math.Round(n2/d))
	p := (x1 + x2) / (n1 + n2)
	deviation := math.Sqrt(d * p * (1 - p) * (1/n1 + 1/n2))
	if deviation == 0 {
		return 1
	}
	return max(exact, student((x2/n2-x1/n1)/deviation, float64(before.busy()+after.busy()-2)))
}

// scatter returns Pearson's chi-squared of the shares of steps around their mean, and its
// degrees of freedom.
func scatter(s series) (chi, freedom float64) {
	of, all := s.sums()
	if of == 0 || of == all {
		return 0, 0
	}
	p := of / all
	for i, n := range s.all {
		if n == 0 {
			continue
		}
		d := s.of[i] - n*p
		chi += d * d / (n * p * (1 - p))
		freedom++
	}
	return chi, freedom - 1
}

// tail returns how likely it is that of x1+x2 events among n1+n2 trials at least x2 fall among
// the n2 by chance (the upper tail of the hypergeometric distribution: Fisher's exact test).
// The arguments are whole numbers.
func tail(x1, n1, x2, n2 float64) float64 {
	events, trials := x1+x2, n1+n2
	if x2 <= 0 || n2 <= 0 || x2 > n2 || x1 > n1 {
		return 1
	}
	term := math.Exp(choose(events, x2) + choose(trials-events, n2-x2) - choose(trials, n2))
	p := 0.0
	for k := x2; k <= min(events, n2) && term > 0; k++ {
		p += term
		if term < p*1e-15 {
			break
		}
		term *= (events - k) * (n2 - k) / ((k + 1) * (trials - events - n2 + k + 1))
	}
	return min(p, 1)
}

// choose returns the logarithm of the binomial coefficient.
func choose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}

// student returns the upper tail of Student's distribution beyond t, which is positive.
func student(t, freedom float64) float64 {
	return incompleteBeta(freedom/2, 0.5, freedom/(freedom+t*t)) / 2
}

const (
	// betaSteps and betaNear bound the continued fraction of the incomplete beta function.
	betaSteps = 200
	betaNear  = 1e-12
)

// incompleteBeta returns the regularised incomplete beta function by its continued fraction
// (NIST Digital Library of Mathematical Functions, 8.17.22, evaluated by Lentz's method).
func incompleteBeta(a, b, x float64) float64 {
	if x > (a+1)/(a+b+2) {
		return 1 - incompleteBeta(b, a, 1-x)
	}
	ga, _ := math.Lgamma(a)
	gb, _ := math.Lgamma(b)
	gab, _ := math.Lgamma(a + b)
	front := math.Exp(a*math.Log(x)+b*math.Log1p(-x)+gab-ga-gb) / a
	c, d := 1.0, 1/(1-(a+b)*x/(a+1))
	f := d
	for i := 1; i < betaSteps; i++ {
		m := float64(i)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / (1 + even*d)
		c = 1 + even/c
		f *= c * d
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / (1 + odd*d)
		c = 1 + odd/c
		f *= c * d
		if math.Abs(c*d-1) < betaNear {
			break
		}
	}
	return front * f
}
