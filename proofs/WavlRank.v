(* WavlRank: insert and erase keep the rank rule, make at most two rotations, and the tree stays low. *)
From Coq Require Import Arith List Lia Bool Sorted.
From Tattletale Require Import WavlTree.
Import ListNotations.

Section Rank.
Variable A : Type.
Variable less : A -> A -> bool.
Implicit Types t : tree A.

Ltac bool_facts :=
  repeat match goal with
  | H : (_ =? _) = true |- _ => apply Nat.eqb_eq in H
  | H : (_ =? _) = false |- _ => apply Nat.eqb_neq in H
  | H : _ && _ = true |- _ => apply andb_true_iff in H; destruct H
  | H : _ && _ = false |- _ => apply andb_false_iff in H
  | H : negb _ = true |- _ => apply negb_true_iff in H
  | H : negb _ = false |- _ => apply negb_false_iff in H
  end.

Lemma ranked_empty t : ranked t -> rank t = 0 -> t = Empty.
Proof. destruct t; cbn; auto. unfold falls. intros; lia. Qed.
Lemma rank_of_nonempty t : ranked t -> is_empty t = false -> 1 <= rank t.
Proof. destruct t; cbn; unfold falls; intros; [discriminate | lia]. Qed.
Lemma rank_of_empty t : is_empty t = true -> rank t = 0.
Proof. destruct t; cbn; intros; [reflexivity | discriminate]. Qed.

(* A tree that has risen: a new leaf, or one child one below and the other two below. *)
Definition risen (t : tree A) : Prop :=
  match t with
  | Empty => False
  | Node r l _ v =>
      (rank l = 0 /\ rank v = 0 /\ r = 1) \/ (r = rank l + 1 /\ r = rank v + 2) \/ (r = rank l + 2 /\ r = rank v + 1)
  end.


Lemma is_empty_rank t : ranked t -> is_empty t = (rank t =? 0).
Proof. destruct t; cbn; unfold falls; intros; [reflexivity | symmetry; apply Nat.eqb_neq; lia]. Qed.
Lemma rank_not_empty t : ranked t -> t <> Empty -> 1 <= rank t.
Proof. destruct t; cbn; unfold falls; intros; [congruence | lia]. Qed.

(* Ranks are numbers: once the shape of the case is known, arithmetic decides. *)
Ltac ranks :=
  cbn in *; unfold falls in *; bool_facts;
  repeat match goal with
  | H : _ /\ _ |- _ => destruct H
  | H : is_empty _ = true |- _ => apply rank_of_empty in H
  | H : is_empty ?t = false, R : ranked ?t |- _ => apply (rank_of_nonempty t R) in H
  | H : is_empty _ = false \/ _ |- _ => destruct H
  | H : (_ =? _) = false \/ _ |- _ => destruct H; bool_facts
  end; cbn in *;
  repeat split; auto; try discriminate; try lia.

(* Takes an equation (if .. match ..) = (t', n) apart into its cases. *)
Ltac cases E :=
  repeat match type of E with
  | context [if ?c then _ else _] => let F := fresh "F" in destruct c eqn:F; bool_facts
  | context [match ?t with Empty => _ | Node _ _ _ _ => _ end] => is_var t; destruct t as [|? ? ? ?]
  end.

Lemma insert_ranks x t t' n :
  insert less x t = (t', n) -> ranked t ->
  ranked t' /\ 1 <= rank t' /\ ((rank t' = rank t /\ n <= 2) \/ (rank t' = rank t + 1 /\ n = 0 /\ risen t')).
Proof.
  revert t' n. induction t as [|r l IHl p v IHv]; intros t' n E R.
  - cbn in E. injection E as <- <-. cbn. unfold falls. repeat split; auto; lia.
  - cbn [insert] in E. destruct R as (Rl & Rv & Fl & Fv & Leaf). destruct (less x p).
    + destruct (insert less x l) as [l' k] eqn:El. specialize (IHl _ _ eq_refl Rl). destruct IHl as (Rl' & Nl' & C);
      destruct C as [(C1 & C2)|(C1 & -> & C2)].
      all: unfold rebalance_left in E; cases E; injection E as <- <-; ranks.
    + destruct (insert less x v) as [v' k] eqn:Ev. specialize (IHv _ _ eq_refl Rv). destruct IHv as (Rv' & Nv' & C);
      destruct C as [(C1 & C2)|(C1 & -> & C2)].
      all: unfold rebalance_right in E; cases E; injection E as <- <-; ranks.
Qed.

(* What one step of rebalancing after a removal does: rl is the rank that the sunk child had before. *)
Definition sunk (r before after : nat) (t' : tree A) (m : nat) : Prop :=
  ranked t' /\
  ((rank t' = r /\ ((after = before /\ m = 0) \/ (after + 1 = before /\ m <= 2))) \/
   (rank t' + 1 = r /\ m = 0 /\ after + 1 = before)).

Lemma sink_left_ranks r l p v rl t' m :
  sink_left r l p v = (t', m) -> ranked l -> ranked v -> falls r rl -> falls r (rank v) -> r <= 1 + rl + rank v ->
  rank l = rl \/ rank l + 1 = rl -> sunk r rl (rank l) t' m.
Proof.
  intros E Rl Rv Fl Fv Leaf C. unfold sink_left in E.
  unfold sunk. destruct C as [C|C].
  all: cases E; injection E as <- <-; ranks.
Qed.

Lemma sink_right_ranks r l p v rv t' m :
  sink_right r l p v = (t', m) -> ranked l -> ranked v -> falls r (rank l) -> falls r rv -> r <= 1 + rank l + rv ->
  rank v = rv \/ rank v + 1 = rv -> sunk r rv (rank v) t' m.
Proof.
  intros E Rl Rv Fl Fv Leaf C. unfold sink_right in E.
  unfold sunk. destruct C as [C|C].
  all: cases E; injection E as <- <-; ranks.
Qed.

Lemma erase_first_ranks r l p v t' x n :
  erase_first r l p v = (t', x, n) -> ranked (Node r l p v) ->
  ranked t' /\ ((rank t' = r /\ n <= 2) \/ (rank t' + 1 = r /\ n = 0)).
Proof.
  revert r p v t' x n. induction l as [|rl ll IHll pl vl _]; intros r p v t' x n E R; cbn [erase_first] in E.
  - injection E as <- <- <-. ranks.
  - destruct (erase_first rl ll pl vl) as [[l' y] k] eqn:El. destruct R as (Rl & Rv & Fl & Fv & Leaf).
    specialize (IHll _ _ _ _ _ _ El Rl). destruct IHll as (Rl' & C).
    destruct (sink_left r l' p v) as [t'' m] eqn:Es. injection E as <- <- <-.
    eapply sink_left_ranks with (rl := rl) in Es; auto; [|intuition lia].
    unfold sunk in Es. intuition lia.
Qed.

Lemma erase_ranks x t t' n :
  erase less x t = (t', n) -> ranked t ->
  ranked t' /\ ((rank t' = rank t /\ n <= 2) \/ (rank t' + 1 = rank t /\ n = 0)).
Proof.
  revert t' n. induction t as [|r l IHl p v IHv]; intros t' n E R; cbn [erase] in E.
  - injection E as <- <-. cbn. intuition lia.
  - pose proof R as (Rl & Rv & Fl & Fv & Leaf). destruct (less x p).
    + destruct (erase less x l) as [l' k]. destruct (IHl _ _ eq_refl Rl) as (Rl' & C).
      destruct (sink_left r l' p v) as [t'' m] eqn:Es. injection E as <- <-.
      eapply sink_left_ranks with (rl := rank l) in Es; auto; [|intuition lia].
      unfold sunk in Es. cbn. intuition lia.
    + destruct (less p x).
      * destruct (erase less x v) as [v' k]. destruct (IHv _ _ eq_refl Rv) as (Rv' & C).
        destruct (sink_right r l p v') as [t'' m] eqn:Es. injection E as <- <-.
        eapply sink_right_ranks with (rv := rank v) in Es; auto; [|intuition lia].
        unfold sunk in Es. cbn. intuition lia.
      * destruct l as [|rl ll pl vl]; [injection E as <- <-; ranks|].
        destruct v as [|rv lv pv vv]; [injection E as <- <-; ranks|].
        destruct (erase_first rv lv pv vv) as [[v' next] k] eqn:Ef.
        destruct (erase_first_ranks _ _ _ _ _ _ _ Ef Rv) as (Rv' & C).
        destruct (sink_right r (Node rl ll pl vl) next v') as [t'' m] eqn:Es. injection E as <- <-.
        eapply sink_right_ranks with (rv := rv) in Es; auto; [|cbn in *; intuition lia].
        unfold sunk in Es. cbn [rank]. intuition lia.
Qed.

(* ---- height *)
Lemma size_elements t : size t = length (elements t).
Proof. induction t; cbn; auto. rewrite app_length. cbn. lia. Qed.

Lemma height_le_rank t : ranked t -> height t <= rank t.
Proof.
  induction t as [|r l IHl p v IHv]; intros R; [cbn; lia|]. destruct R as (Rl & Rv & Fl & Fv & _).
  specialize (IHl Rl). specialize (IHv Rv). unfold falls in *. cbn. lia.
Qed.

Lemma size_of_rank t : ranked t -> 2 ^ ((rank t + 1) / 2) <= size t + 1.
Proof.
  induction t as [|r l IHl p v IHv]; intros R; [cbn; lia|]. destruct R as (Rl & Rv & Fl & Fv & Leaf).
  specialize (IHl Rl). specialize (IHv Rv). unfold falls in *. cbn [rank size].
  assert (H : (r + 1) / 2 <= S ((rank l + 1) / 2) /\ (r + 1) / 2 <= S ((rank v + 1) / 2)).
  { replace (S ((rank l + 1) / 2)) with ((rank l + 1 + 1 * 2) / 2) by (rewrite Nat.div_add; lia).
    replace (S ((rank v + 1) / 2)) with ((rank v + 1 + 1 * 2) / 2) by (rewrite Nat.div_add; lia).
    split; apply Nat.div_le_mono; lia. }
  assert (r = 1 \/ 1 <= (r + 1) / 2).
  { destruct (Nat.le_gt_cases r 1); [left; lia|right]. apply Nat.div_le_lower_bound; lia. }
  destruct ((r + 1) / 2) as [|k] eqn:E; [cbn; lia|].
  pose proof (Nat.pow_le_mono_r 2 k ((rank l + 1) / 2)). pose proof (Nat.pow_le_mono_r 2 k ((rank v + 1) / 2)).
  cbn [Nat.pow]. lia.
Qed.

Theorem height_bound t : ranked t -> height t <= 2 * Nat.log2 (size t + 1).
Proof.
  intros R. pose proof (height_le_rank t R). pose proof (size_of_rank t R).
  assert ((rank t + 1) / 2 <= Nat.log2 (size t + 1)).
  { rewrite <- (Nat.log2_pow2 ((rank t + 1) / 2)) by lia. apply Nat.log2_le_mono. assumption. }
  pose proof (Nat.div_mod (rank t + 1) 2). pose proof (Nat.mod_upper_bound (rank t + 1) 2). lia.
Qed.
End Rank.
