// Package diagnose walks the runbook's triage tree by itself and says what is wrong with a proxy,
// the likeliest cause first, with the evidence and the commands that mitigate it. It works with
// the process dead, and changes nothing.
//
//	gather   each check in its own time, all at once   Options -> facts
//	judge    rules that look at facts and nothing else  facts -> findings
//	rank     what explains others comes before them     findings -> Report
//
// What can't be seen, for want of rights or of time, is said and not guessed.
package diagnose
