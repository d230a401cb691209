(* WavlTree: the weak AVL tree of src/cache/wavl_tree.h as a functional model, and what its operations do.
   A rank here is the C++ rank plus one, so that a missing node has rank 0 and a leaf rank 1. The C++ keeps only
   the parity of a rank; the lockstep run compares that parity node by node.
   Source: Haeupler, Sen, Tarjan, "Rank-Balanced Trees", TALG 11(4), 2015. *)
From Coq Require Import Arith List Lia Bool Sorted.
Import ListNotations.

Section Wavl.
Variable A : Type.
Variable less : A -> A -> bool.

Inductive tree : Type :=
| Empty : tree
| Node : nat -> tree -> A -> tree -> tree.

Definition rank (t : tree) : nat := match t with Empty => 0 | Node r _ _ _ => r end.
Definition is_empty (t : tree) : bool := match t with Empty => true | _ => false end.

Fixpoint elements (t : tree) : list A :=
  match t with Empty => [] | Node _ l x v => elements l ++ x :: elements v end.
Fixpoint size (t : tree) : nat :=
  match t with Empty => 0 | Node _ l _ v => S (size l + size v) end.
Fixpoint height (t : tree) : nat :=
  match t with Empty => 0 | Node _ l _ v => S (Nat.max (height l) (height v)) end.

(* The rank rule: along an edge the rank falls by one or two; a leaf has rank 0 (here 1). *)
Definition falls (r child : nat) : Prop := child + 1 <= r <= child + 2.
Fixpoint ranked (t : tree) : Prop :=
  match t with
  | Empty => True
  | Node r l _ v =>
      ranked l /\ ranked v /\ falls r (rank l) /\ falls r (rank v) /\ r <= 1 + rank l + rank v
  end.

(* ---- insert: WavlTree::insert, attach, rebalance_after_attach. Each returns the tree and the rotations made. *)

(* The left child l of p has just risen by one or is new: its rank may equal p's rank r. *)
Definition rebalance_left (r : nat) (l : tree) (p : A) (v : tree) : tree * nat :=
  if rank l =? r then
    if r =? rank v + 1 then (Node (r + 1) l p v, 0)             (* sibling one below: promote p *)
    else match l with
         | Empty => (Node r l p v, 0)
         | Node rx outer x inner =>
             if rx =? rank inner + 2 then                        (* inner grandchild two below: one rotation *)
               (Node rx outer x (Node (r - 1) inner p v), 1)
             else match inner with
                  | Empty => (Node r l p v, 0)
                  | Node ri a y b => (Node (ri + 1) (Node (rx - 1) outer x a) y (Node (r - 1) b p v), 2)
                  end
         end
  else (Node r l p v, 0).

Definition rebalance_right (r : nat) (l : tree) (p : A) (v : tree) : tree * nat :=
  if rank v =? r then
    if r =? rank l + 1 then (Node (r + 1) l p v, 0)
    else match v with
         | Empty => (Node r l p v, 0)
         | Node rx inner x outer =>
             if rx =? rank inner + 2 then
               (Node rx (Node (r - 1) l p inner) x outer, 1)
             else match inner with
                  | Empty => (Node r l p v, 0)
                  | Node ri a y b => (Node (ri + 1) (Node (r - 1) l p a) y (Node (rx - 1) b x outer), 2)
                  end
         end
  else (Node r l p v, 0).

Fixpoint insert (x : A) (t : tree) : tree * nat :=
  match t with
  | Empty => (Node 1 Empty x Empty, 0)
  | Node r l p v =>
      if less x p then
        let (l', n) := insert x l in let (t', m) := rebalance_left r l' p v in (t', n + m)
      else
        let (v', n) := insert x v in let (t', m) := rebalance_right r l p v' in (t', n + m)
  end.

(* ---- erase: WavlTree::erase, swap_with_next, rebalance_after_erase, rotate_after_erase. *)

(* The left child l of p has just sunk by one or is gone. *)
Definition sink_left (r : nat) (l : tree) (p : A) (v : tree) : tree * nat :=
  if is_empty l && is_empty v then (Node 1 l p v, 0)            (* a leaf of rank 1 is demoted *)
  else if r =? rank l + 3 then                                   (* l is three below p *)
    if r =? rank v + 2 then (Node (r - 1) l p v, 0)              (* sibling two below: demote p *)
    else match v with
         | Empty => (Node r l p v, 0)
         | Node rs inner s outer =>
             let inner_two := rs =? rank inner + 2 in
             let outer_two := rs =? rank outer + 2 in
             if inner_two && outer_two then (Node (r - 1) l p (Node (rs - 1) inner s outer), 0)
             else if negb outer_two then
               let rp := if is_empty l && is_empty inner then r - 2 else r - 1 in  (* no leaf of rank 1 *)
               (Node (rs + 1) (Node rp l p inner) s outer, 1)
             else match inner with
                  | Empty => (Node r l p v, 0)
                  | Node ri a y b => (Node (ri + 2) (Node (r - 2) l p a) y (Node (rs - 1) b s outer), 2)
                  end
         end
  else (Node r l p v, 0).

Definition sink_right (r : nat) (l : tree) (p : A) (v : tree) : tree * nat :=
  if is_empty l && is_empty v then (Node 1 l p v, 0)
  else if r =? rank v + 3 then
    if r =? rank l + 2 then (Node (r - 1) l p v, 0)
    else match l with
         | Empty => (Node r l p v, 0)
         | Node rs outer s inner =>
             let inner_two := rs =? rank inner + 2 in
             let outer_two := rs =? rank outer + 2 in
             if inner_two && outer_two then (Node (r - 1) (Node (rs - 1) outer s inner) p v, 0)
             else if negb outer_two then
               let rp := if is_empty v && is_empty inner then r - 2 else r - 1 in
               (Node (rs + 1) outer s (Node rp inner p v), 1)
             else match inner with
                  | Empty => (Node r l p v, 0)
                  | Node ri a y b => (Node (ri + 2) (Node (rs - 1) outer s a) y (Node (r - 2) b p v), 2)
                  end
         end
  else (Node r l p v, 0).

(* Takes the first node out of Node r l p v: the tree without it, its key, the rotations. *)
Fixpoint erase_first (r : nat) (l : tree) (p : A) (v : tree) : tree * A * nat :=
  match l with
  | Empty => (v, p, 0)
  | Node rl ll pl vl =>
      let '(l', x, n) := erase_first rl ll pl vl in
      let (t', m) := sink_left r l' p v in (t', x, n + m)
  end.

Fixpoint erase (x : A) (t : tree) : tree * nat :=
  match t with
  | Empty => (Empty, 0)
  | Node r l p v =>
      if less x p then let (l', n) := erase x l in let (t', m) := sink_left r l' p v in (t', n + m)
      else if less p x then let (v', n) := erase x v in let (t', m) := sink_right r l p v' in (t', n + m)
      else match l, v with
           | Empty, _ => (v, 0)
           | _, Empty => (l, 0)
           | _, Node rv lv pv vv =>
               let '(v', next, n) := erase_first rv lv pv vv in
               let (t', m) := sink_right r l next v' in (t', n + m)
           end
  end.

(* ---- search: ChildIndex::find within one tree; the second result counts comparisons of keys. *)
Fixpoint find (x : A) (t : tree) : option A * nat :=
  match t with
  | Empty => (None, 0)
  | Node _ l p v =>
      if less x p then let (r, n) := find x l in (r, S n)
      else if less p x then let (r, n) := find x v in (r, S n)
      else (Some p, 1)
  end.

(* The neighbours of x's insertion point, by one descent: the last key below x, the first key not below it. *)
Fixpoint neighbours (x : A) (t : tree) (below above : option A) : option A * option A * nat :=
  match t with
  | Empty => (below, above, 0)
  | Node _ l p v =>
      if less p x then let '(b, a, n) := neighbours x v (Some p) above in (b, a, S n)
      else let '(b, a, n) := neighbours x l below (Some p) in (b, a, S n)
  end.
End Wavl.

Arguments Empty {A}.
Arguments Node {A}.
Arguments rank {A}.
Arguments is_empty {A}.
Arguments elements {A}.
Arguments size {A}.
Arguments height {A}.
Arguments ranked {A}.
Arguments rebalance_left {A}.
Arguments rebalance_right {A}.
Arguments insert {A}.
Arguments sink_left {A}.
Arguments sink_right {A}.
Arguments erase_first {A}.
Arguments erase {A}.
Arguments find {A}.
Arguments neighbours {A}.
