(* What the claims are made of. Coq 8.16 or newer, standard library only. A function returns None where the obligation
   holds, and otherwise the numbers of its first fault. *)
Require Import ZArith List Bool.
Import ListNotations.
Open Scope Z_scope.

Definition fault := option (list Z).

Fixpoint numbered {A} (k : Z) (l : list A) : list (Z * A) :=
  match l with [] => [] | w :: rest => (k, w) :: numbered (k + 1) rest end.

Fixpoint first_of {A} (test : A -> fault) (l : list A) : fault :=
  match l with [] => None | w :: rest => match test w with None => first_of test rest | found => found end end.

Definition unless (holds : bool) (numbers : list Z) : fault := if holds then None else Some numbers.
Definition after (one other : fault) : fault := match one with None => other | found => found end.

(* Half-sets *)
Definition disjoint (first second : list Z) : fault :=
  first_of (fun place => unless (negb (existsb (Z.eqb place) second)) [place]) first.

(* A group by its multiplication table: row by column; handed is 1000 times the determinant. *)
Definition is_identity (rows : list (list Z)) (e : Z) : bool :=
  forallb (fun a => (fst a =? snd a)) (numbered 0 (nth (Z.to_nat e) rows [])) &&
  forallb (fun row => nth (Z.to_nat e) (snd row) (-1) =? fst row) (numbered 0 rows).

Definition group_closed (order : Z) (rows : list (list Z)) (handed : list Z) : fault :=
  after (first_of (fun e => unless (snd e =? 1000) [1; fst e]) (numbered 0 handed))
  (after (first_of (fun row => first_of (fun entry => unless ((0 <=? snd entry) && (snd entry <? order))
            [2; fst row; fst entry]) (numbered 0 (snd row))) (numbered 0 rows))
  (match find (is_identity rows) (map fst (numbered 0 rows)) with
   | None => Some [3]
   | Some e => first_of (fun row => unless (existsb (Z.eqb e) (snd row)) [4; fst row]) (numbered 0 rows)
   end)).

(* Fourier shell correlation, in 1/10000 *)
Definition fsc_in_range (fsc : list Z) : fault :=
  first_of (fun s => unless ((-10000 <=? snd s) && (snd s <=? 10000)) [fst s; snd s]) (numbered 0 fsc).
Definition fsc_starts_high (fsc : list Z) : fault :=
  match fsc with [] => Some [0; 0] | w :: _ => unless (5000 <=? w) [0; w] end.
Fixpoint falls_below (k : Z) (curve : list (Z * Z)) : Z * (Z * Z) :=
  match curve with
  | [] => (k, (0, 0))
  | [w] => (k, w)
  | w :: rest => if fst w <? 1430 then (k, w) else falls_below (k + 1) rest
  end.
Fixpoint steps (at_ : list Z) : list Z :=
  match at_ with p :: ((q :: _) as rest) => q - p :: steps rest | _ => [] end.
Definition widest (l : list Z) : Z := match l with [] => 0 | w :: rest => fold_left Z.max rest w end.
Definition fsc_crosses (fsc at_ : list Z) (claimed : Z) : fault :=
  let '(shell, (value, frequency)) := falls_below 0 (combine fsc at_) in
  unless (Z.abs (claimed - frequency) <=? widest (steps at_) + 1) [shell; frequency; value; claimed].

(* Crystals *)
Inductive mat := Mat (a b c d e f g h i : Z).
Inductive op := Op (turn : mat) (x y z : Z).
Inductive ball := Ball (x y z r : Z).

Definition mul (p q : mat) : mat :=
  let '(Mat a b c d e f g h i) := p in
  let '(Mat j k l m n o r s t) := q in
  Mat (a*j + b*m + c*r) (a*k + b*n + c*s) (a*l + b*o + c*t)
      (d*j + e*m + f*r) (d*k + e*n + f*s) (d*l + e*o + f*t)
      (g*j + h*m + i*r) (g*k + h*n + i*s) (g*l + h*o + i*t).
Definition transposed (p : mat) : mat := let '(Mat a b c d e f g h i) := p in Mat a d g b e h c f i.
Definition det (p : mat) : Z :=
  let '(Mat a b c d e f g h i) := p in a * (e*i - f*h) - b * (d*i - f*g) + c * (d*h - e*g).
Definition entries (p : mat) : list Z := let '(Mat a b c d e f g h i) := p in [a; b; c; d; e; f; g; h; i].
Definition absolute (p : mat) : mat :=
  let '(Mat a b c d e f g h i) := p in
  Mat (Z.abs a) (Z.abs b) (Z.abs c) (Z.abs d) (Z.abs e) (Z.abs f) (Z.abs g) (Z.abs h) (Z.abs i).
Definition form (p : mat) (x y z : Z) : Z :=
  let '(Mat a b c d e f g h i) := p in x * (a*x + b*y + c*z) + y * (d*x + e*y + f*z) + z * (g*x + h*y + i*z).

Definition identity := Op (Mat 1 0 0 0 1 0 0 0 1) 0 0 0.
Definition same (p q : op) : bool :=
  let '(Op v x y z) := p in
  let '(Op w j k l) := q in
  (x =? j) && (y =? k) && (z =? l) && forallb (fun ab => fst ab =? snd ab) (combine (entries v) (entries w)).
Definition product (p q : op) : op :=
  let '(Op v x y z) := p in
  let '(Op w j k l) := q in
  let '(Mat a b c d e f g h i) := v in
  Op (mul v w) ((x + a*j + b*k + c*l) mod 24) ((y + d*j + e*k + f*l) mod 24) ((z + g*j + h*k + i*l) mod 24).

Definition operations_closed (ops : list op) : fault :=
  let places := numbered 0 ops in
  after (unless (existsb (same identity) ops) [1])
  (after (first_of (fun p => first_of (fun q => unless (negb ((fst p <? fst q) && same (snd p) (snd q)))
            [2; fst p; fst q]) places) places)
  (first_of (fun p => first_of (fun q => unless (existsb (same (product (snd p) (snd q))) ops)
            [3; fst p; fst q]) places) places)).

Definition operations_proper (ops : list op) : fault :=
  first_of (fun p => let '(Op w _ _ _) := snd p in unless (det w =? 1) [fst p; det w]) (numbered 0 ops).

Definition fits_operations (ops : list op) (metric error : mat) : fault :=
  first_of (fun p => let '(Op w _ _ _) := snd p in
    let turned := entries (mul (transposed w) (mul metric w)) in
    let allowed := entries (mul (transposed (absolute w)) (mul error (absolute w))) in
    first_of (fun row => let '(k, (t, (m, (l, d)))) := row in unless (Z.abs (t - m) <=? l + d) [fst p; k; Z.abs (t - m)])
      (numbered 0 (combine turned (combine (entries metric) (combine allowed (entries error))))))
    (numbered 0 ops).

Definition around (most : Z) : list Z :=
  map (fun k => Z.of_nat k - most) (seq 0 (Z.to_nat (2 * most + 1))).

Definition mates_apart (n : Z) (ops : list op) (balls : list ball) (metric error : mat) (sx sy sz : Z) : fault :=
  first_of (fun p => let '(Op (Mat a b c d e f g h i) x y z) := snd p in
    let still := same identity (snd p) in
    first_of (fun one => let '(Ball u v w r) := snd one in
      let mx := (a*u + b*v + c*w + 1000*x) mod n in
      let my := (d*u + e*v + f*w + 1000*y) mod n in
      let mz := (g*u + h*v + i*w + 1000*z) mod n in
      first_of (fun two => let '(Ball j k l s) := snd two in
        let touching := (r + s) * (r + s) * (n * n) in
        first_of (fun tx => first_of (fun ty => first_of (fun tz =>
          let dx := mx + n*tx - j in
          let dy := my + n*ty - k in
          let dz := mz + n*tz - l in
          unless ((still && (tx =? 0) && (ty =? 0) && (tz =? 0)) ||
                  (touching <=? 1000 * (form metric dx dy dz + form error (Z.abs dx) (Z.abs dy) (Z.abs dz))))
            [fst p; fst one; fst two; tx; ty; tz]) (around sz)) (around sy)) (around sx))
        (numbered 0 balls)) (numbered 0 balls))
    (numbered 0 ops).

