/- What the claims are made of. Lean 4 core, no Mathlib. A function returns `none` where the obligation holds, and
   otherwise the numbers of its first fault. Everything is reduced by the kernel alone, so no code is generated. -/
namespace Claims

abbrev Fault := Option (List Int)

noncomputable def le (p q : Int) : Bool := decide (p ≤ q)
noncomputable def lt (p q : Int) : Bool := decide (p < q)
noncomputable def eq (p q : Int) : Bool := decide (p = q)
noncomputable def size (p : Int) : Int := Int.ofNat (Int.natAbs p)
noncomputable def larger (p q : Int) : Int := cond (le p q) q p

noncomputable def holds (found : Fault) : Bool := Option.rec true (fun _ => false) found
noncomputable def unless' (good : Bool) (numbers : List Int) : Fault := cond good none (some numbers)
noncomputable def after (one other : Fault) : Fault := Option.rec other (fun numbers => some numbers) one

noncomputable def every {α : Type} (test : α → Bool) (l : List α) : Bool :=
  List.rec true (fun w _ rest => test w && rest) l
noncomputable def some' {α : Type} (test : α → Bool) (l : List α) : Bool :=
  List.rec false (fun w _ rest => test w || rest) l
noncomputable def firstOf {α : Type} (test : α → Fault) (l : List α) : Fault :=
  List.rec none (fun w _ rest => after (test w) rest) l
noncomputable def numberedFrom {α : Type} (l : List α) : Int → List (Int × α) :=
  List.rec (motive := fun _ => Int → List (Int × α)) (fun _ => []) (fun w _ rest k => (k, w) :: rest (k + 1)) l
noncomputable def numbered {α : Type} (l : List α) : List (Int × α) := numberedFrom l 0
noncomputable def paired {α β : Type} (l : List α) : List β → List (α × β) :=
  List.rec (motive := fun _ => List β → List (α × β)) (fun _ => [])
    (fun w _ rest m => List.rec [] (fun v more _ => (w, v) :: rest more) m) l

-- Half-sets
noncomputable def disjoint (first second : List Int) : Fault :=
  firstOf (fun place => unless' (!some' (eq place) second) [place]) first

-- A group by its multiplication table: row by column; handed is 1000 times the determinant.
noncomputable def isIdentity (rows : List (Int × List Int)) (e : Int) (row : List Int) : Bool :=
  every (fun a => eq a.1 a.2) (numbered row) &&
  every (fun other => some' (fun entry => eq entry.1 e && eq entry.2 other.1) (numbered other.2)) rows

noncomputable def group_closed (order : Int) (table : List (List Int)) (handed : List Int) : Fault :=
  after (firstOf (fun d => unless' (eq d.2 1000) [1, d.1]) (numbered handed))
  (after (firstOf (fun row => firstOf (fun entry => unless' (le 0 entry.2 && lt entry.2 order) [2, row.1, entry.1])
    (numbered row.2)) (numbered table))
  (after (unless' (some' (fun row => isIdentity (numbered table) row.1 row.2) (numbered table)) [3])
  (firstOf (fun row => unless' (!isIdentity (numbered table) row.1 row.2 ||
    every (fun other => some' (eq row.1) other) table) [4, row.1]) (numbered table))))

-- Fourier shell correlation, in 1/10000
noncomputable def fsc_in_range (fsc : List Int) : Fault :=
  firstOf (fun s => unless' (le (-10000) s.2 && le s.2 10000) [s.1, s.2]) (numbered fsc)
noncomputable def fsc_starts_high (fsc : List Int) : Fault :=
  List.rec (some [0, 0]) (fun w _ _ => unless' (le 5000 w) [0, w]) fsc
-- (shell, value, frequency) of the first shell below 0.143, or of the last one
noncomputable def fallsBelow (curve : List (Int × Int × Int)) : Int × Int × Int :=
  List.rec (0, 0, 0) (fun w rest found => cond (lt w.2.1 1430 || List.rec true (fun _ _ _ => false) rest) w found) curve
noncomputable def steps (frequency : List Int) : List Int :=
  List.rec [] (fun w rest more => List.rec [] (fun v _ _ => (v - w) :: more) rest) frequency
noncomputable def widest (l : List Int) : Int :=
  List.rec 0 (fun w rest found => List.rec w (fun _ _ _ => larger w found) rest) l
noncomputable def fsc_crosses (fsc frequency : List Int) (claimed : Int) : Fault :=
  (fun found : Int × Int × Int =>
    unless' (le (size (claimed - found.2.2)) (widest (steps frequency) + 1)) [found.1, found.2.2, found.2.1, claimed])
    (fallsBelow (numbered (paired fsc frequency)))

-- Crystals
structure Mat where
  (a b c d e f g h i : Int)
structure Op where
  turn : Mat
  (x y z : Int)
structure Ball where
  (x y z r : Int)

noncomputable def mul (p q : Mat) : Mat :=
  ⟨p.a*q.a + p.b*q.d + p.c*q.g, p.a*q.b + p.b*q.e + p.c*q.h, p.a*q.c + p.b*q.f + p.c*q.i,
   p.d*q.a + p.e*q.d + p.f*q.g, p.d*q.b + p.e*q.e + p.f*q.h, p.d*q.c + p.e*q.f + p.f*q.i,
   p.g*q.a + p.h*q.d + p.i*q.g, p.g*q.b + p.h*q.e + p.i*q.h, p.g*q.c + p.h*q.f + p.i*q.i⟩
noncomputable def transposed (p : Mat) : Mat := ⟨p.a, p.d, p.g, p.b, p.e, p.h, p.c, p.f, p.i⟩
noncomputable def det (p : Mat) : Int :=
  p.a * (p.e*p.i - p.f*p.h) - p.b * (p.d*p.i - p.f*p.g) + p.c * (p.d*p.h - p.e*p.g)
noncomputable def entries (p : Mat) : List Int := [p.a, p.b, p.c, p.d, p.e, p.f, p.g, p.h, p.i]
noncomputable def absolute (p : Mat) : Mat :=
  ⟨size p.a, size p.b, size p.c, size p.d, size p.e, size p.f, size p.g, size p.h, size p.i⟩
noncomputable def form (p : Mat) (x y z : Int) : Int :=
  x * (p.a*x + p.b*y + p.c*z) + y * (p.d*x + p.e*y + p.f*z) + z * (p.g*x + p.h*y + p.i*z)

noncomputable def identity : Op := ⟨⟨1, 0, 0, 0, 1, 0, 0, 0, 1⟩, 0, 0, 0⟩
noncomputable def same (p q : Op) : Bool :=
  eq p.x q.x && eq p.y q.y && eq p.z q.z && every (fun ab => eq ab.1 ab.2) (paired (entries p.turn) (entries q.turn))
noncomputable def product (p q : Op) : Op :=
  ⟨mul p.turn q.turn,
   Int.emod (p.x + p.turn.a*q.x + p.turn.b*q.y + p.turn.c*q.z) 24,
   Int.emod (p.y + p.turn.d*q.x + p.turn.e*q.y + p.turn.f*q.z) 24,
   Int.emod (p.z + p.turn.g*q.x + p.turn.h*q.y + p.turn.i*q.z) 24⟩

noncomputable def operations_closed (ops : List Op) : Fault :=
  after (unless' (some' (same identity) ops) [1])
  (after (firstOf (fun p => firstOf (fun q => unless' (!(lt p.1 q.1 && same p.2 q.2)) [2, p.1, q.1])
    (numbered ops)) (numbered ops))
  (firstOf (fun p => firstOf (fun q => unless' (some' (same (product p.2 q.2)) ops) [3, p.1, q.1])
    (numbered ops)) (numbered ops)))

noncomputable def operations_proper (ops : List Op) : Fault :=
  firstOf (fun p => unless' (eq (det p.2.turn) 1) [p.1, det p.2.turn]) (numbered ops)

noncomputable def fits_operations (ops : List Op) (metric error : Mat) : Fault :=
  firstOf (fun p => firstOf (fun row : Int × (Int × Int) × (Int × Int) =>
      unless' (le (size (row.2.1.1 - row.2.1.2)) (row.2.2.1 + row.2.2.2)) [p.1, row.1, size (row.2.1.1 - row.2.1.2)])
    (numbered (paired
      (paired (entries (mul (transposed p.2.turn) (mul metric p.2.turn))) (entries metric))
      (paired (entries (mul (transposed (absolute p.2.turn)) (mul error (absolute p.2.turn)))) (entries error)))))
    (numbered ops)

noncomputable def around (most : Nat) : List Int :=
  Nat.rec [0] (fun k rest => -(Int.ofNat k + 1) :: (Int.ofNat k + 1) :: rest) most

noncomputable def mates_apart (n : Int) (ops : List Op) (balls : List Ball) (metric error : Mat) (sx sy sz : Nat) :
    Fault :=
  firstOf (fun p => firstOf (fun one => firstOf (fun two =>
    firstOf (fun tx => firstOf (fun ty => firstOf (fun tz =>
      unless' ((same identity p.2 && eq tx 0 && eq ty 0 && eq tz 0) ||
        (fun dx dy dz => le ((one.2.r + two.2.r) * (one.2.r + two.2.r) * (n * n))
          (1000 * (form metric dx dy dz + form error (size dx) (size dy) (size dz))))
        (Int.emod (p.2.turn.a*one.2.x + p.2.turn.b*one.2.y + p.2.turn.c*one.2.z + 1000*p.2.x) n + n*tx - two.2.x)
        (Int.emod (p.2.turn.d*one.2.x + p.2.turn.e*one.2.y + p.2.turn.f*one.2.z + 1000*p.2.y) n + n*ty - two.2.y)
        (Int.emod (p.2.turn.g*one.2.x + p.2.turn.h*one.2.y + p.2.turn.i*one.2.z + 1000*p.2.z) n + n*tz - two.2.z))
      [p.1, one.1, two.1, tx, ty, tz]) (around sz)) (around sy)) (around sx))
    (numbered balls)) (numbered balls)) (numbered ops)

