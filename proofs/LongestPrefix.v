(* LongestPrefix: in a WAVL tree of token sequences the longest common prefix with any key is reached at one of the
   two neighbours of the query's insertion point, which one descent finds. *)
From Coq Require Import Arith List Lia Bool Sorted.
From Tattletale Require Import WavlTree WavlRank WavlOrder.
Import ListNotations.

(* ---- token sequences in lexicographic order *)
Fixpoint less_tokens (a b : list nat) : bool :=
  match a, b with
  | _, [] => false
  | [], _ :: _ => true
  | x :: a', y :: b' => if x <? y then true else if y <? x then false else less_tokens a' b'
  end.

(* token_compare.h: common_prefix. *)
Fixpoint common_prefix (a b : list nat) : nat :=
  match a, b with
  | x :: a', y :: b' => if x =? y then S (common_prefix a' b') else 0
  | _, _ => 0
  end.

Ltac tokens :=
  repeat match goal with
  | H : context [?a <? ?b] |- _ => destruct (Nat.ltb_spec a b)
  | |- context [?a <? ?b] => destruct (Nat.ltb_spec a b)
  | H : context [?a =? ?b] |- _ => destruct (Nat.eqb_spec a b)
  | |- context [?a =? ?b] => destruct (Nat.eqb_spec a b)
  end; subst; try discriminate; try lia; auto.

Lemma less_tokens_irreflexive a : less_tokens a a = false.
Proof. induction a; cbn [less_tokens common_prefix]; tokens. Qed.
Lemma less_tokens_transitive a b c : less_tokens a b = true -> less_tokens b c = true -> less_tokens a c = true.
Proof. revert b c. induction a; destruct b, c; cbn [less_tokens common_prefix]; intros; tokens. eauto. Qed.
Lemma less_tokens_total a b : less_tokens a b = false -> less_tokens b a = false -> a = b.
Proof. revert b. induction a; destruct b; cbn [less_tokens common_prefix]; intros; tokens. f_equal; [lia|auto]. Qed.

Lemma between_below a b x : less_tokens a b = true -> less_tokens b x = true -> common_prefix x a <= common_prefix x b.
Proof. revert a b. induction x as [|x0 x IH]; destruct a, b; cbn [less_tokens common_prefix]; intros; tokens. apply le_n_S. auto. Qed.
Lemma between_above a b x : less_tokens b x = false -> less_tokens b a = true -> common_prefix x a <= common_prefix x b.
Proof. revert a b. induction x as [|x0 x IH]; destruct a, b; cbn [less_tokens common_prefix]; intros; tokens. apply le_n_S. auto. Qed.

(* ---- neighbours *)
Section Neighbours.
Variable A : Type.
Variable less : A -> A -> bool.
Hypothesis less_transitive : forall a b c, less a b = true -> less b c = true -> less a c = true.

Lemma filter_all (f : A -> bool) l : (forall a, In a l -> f a = true) -> filter f l = l.
Proof. induction l; cbn; intros H; auto. rewrite H by auto. f_equal. auto. Qed.
Lemma filter_none (f : A -> bool) l : (forall a, In a l -> f a = false) -> filter f l = [].
Proof. induction l; cbn; intros H; auto. rewrite H by auto. auto. Qed.
Lemma last_app_one (l : list (option A)) p l' d : last (l ++ p :: l') d = last l' p.
Proof.
  induction l as [|a l IH]; cbn; [revert p d; induction l'; cbn; intros; auto; destruct l'; auto|].
  destruct (l ++ p :: l') eqn:E; [destruct l; discriminate|]. exact IH.
Qed.

Theorem neighbours_spec x (t : tree A) below above : ordered A less t ->
  fst (neighbours less x t below above) =
    (last (map Some (filter (fun a => less a x) (elements t))) below,
     hd above (map Some (filter (fun a => negb (less a x)) (elements t)))).
Proof.
  unfold ordered. revert below above. induction t as [|r l IHl p v IHv]; intros below above S; [reflexivity|].
  cbn [neighbours elements] in *. apply sorted_app in S. destruct S as (S1 & S2 & F1 & F2 & F3).
  rewrite Forall_forall in F1, F2. unfold lt in *. rewrite !filter_app, !map_app. cbn [filter].
  destruct (less p x) eqn:E.
  - specialize (IHv (Some p) above S2). destruct (neighbours less x v (Some p) above) as [[b a] n]. cbn [fst map negb app] in *.
    rewrite last_app_one, IHv. f_equal. rewrite (filter_none (fun a => negb (less a x)) (elements l)); [reflexivity|].
    intros y Hy. rewrite (less_transitive y p x); auto.
  - specialize (IHl below (Some p) S1). destruct (neighbours less x l below (Some p)) as [[b a] n]. cbn [fst map negb app] in *.
    rewrite IHl. f_equal.
    + rewrite (filter_none (fun a => less a x) (elements v)); [cbn; rewrite app_nil_r; reflexivity|].
      intros y Hy. destruct (less y x) eqn:Ey; auto. rewrite (less_transitive p y x) in E; auto.
    + destruct (filter (fun a => negb (less a x)) (elements l)); reflexivity.
Qed.
End Neighbours.

(* The best match for a query, of its two neighbours. *)
Definition best_match (query : list nat) (t : tree (list nat)) : nat :=
  let '(below, above, _) := neighbours less_tokens query t None None in
  Nat.max (match below with Some k => common_prefix query k | None => 0 end)
          (match above with Some k => common_prefix query k | None => 0 end).

Lemma sorted_filter f l : StronglySorted (lt _ less_tokens) l -> StronglySorted (lt _ less_tokens) (filter f l).
Proof.
  induction 1 as [|a l S IH F]; cbn; [constructor|]. destruct (f a); auto. constructor; auto.
  apply Forall_forall. intros y Hy. apply filter_In in Hy. eapply Forall_forall in F; [exact F|tauto].
Qed.
Lemma last_sorted l y d : StronglySorted (lt _ less_tokens) l -> In y l ->
  exists b, last (map Some l) d = Some b /\ In b l /\ (y = b \/ less_tokens y b = true).
Proof.
  intros S. revert d y. induction S as [|a l S IH F]; intros d y I; [destruct I|]. destruct l as [|c l].
  - exists a. cbn in *. intuition.
  - destruct I as [->|I].
    + destruct (IH d c) as (b & Hb & Ib & _); [left; reflexivity|]. exists b.
      split; [exact Hb|]. split; [right; exact Ib|]. right. eapply Forall_forall in F; [exact F|auto].
    + destruct (IH d y I) as (b & Hb & Ib & C). exists b. split; [exact Hb|]. split; [right|]; auto.
Qed.
Lemma hd_sorted l y d : StronglySorted (lt _ less_tokens) l -> In y l ->
  exists b, hd d (map Some l) = Some b /\ In b l /\ (y = b \/ less_tokens b y = true).
Proof.
  intros S I. destruct S as [|a l S F]; [destruct I|]. exists a. cbn. split; [reflexivity|]. split; auto.
  destruct I as [->|I]; auto. right. eapply Forall_forall in F; eauto.
Qed.

(* The best match at a neighbour of the insertion point has the longest common prefix of all keys. *)
Theorem best_match_is_longest query t : ordered _ less_tokens t ->
  (forall key, In key (elements t) -> common_prefix query key <= best_match query t) /\
  (best_match query t = 0 \/ exists key, In key (elements t) /\ common_prefix query key = best_match query t).
Proof.
  intros O. unfold best_match.
  pose proof (neighbours_spec _ less_tokens less_tokens_transitive query t None None O) as N.
  destruct (neighbours less_tokens query t None None) as [[below above] n]. cbn [fst] in N. injection N as Hb Ha.
  unfold ordered in O. split.
  - intros key I. destruct (less_tokens key query) eqn:E.
    + destruct (last_sorted (filter (fun a => less_tokens a query) (elements t)) key None) as (b & Eb & Ib & C);
        [apply sorted_filter; auto|apply filter_In; auto|]. rewrite Hb, Eb.
      apply filter_In in Ib. destruct C as [->|C]; [lia|]. pose proof (between_below _ _ query C (proj2 Ib)). lia.
    + destruct (hd_sorted (filter (fun a => negb (less_tokens a query)) (elements t)) key None) as (b & Eb & Ib & C);
        [apply sorted_filter; auto|apply filter_In; rewrite E; auto|]. rewrite Ha, Eb.
      apply filter_In in Ib. destruct Ib as (_ & Nb). apply negb_true_iff in Nb.
      destruct C as [->|C]; [lia|]. pose proof (between_above _ _ query Nb C). lia.
  - assert (Kb : forall k, below = Some k -> In k (elements t)).
    { intros k E. rewrite E in Hb. symmetry in Hb. destruct (filter (fun a => less_tokens a query) (elements t)) eqn:F;
        [discriminate|]. destruct (last_sorted (filter (fun a => less_tokens a query) (elements t)) l None) as (b & Eb & Ib & _).
      + apply sorted_filter; auto. + rewrite F; left; auto. + rewrite F in *. rewrite Hb in Eb. injection Eb as ->.
      rewrite <- F in Ib. apply filter_In in Ib. tauto. }
    assert (Ka : forall k, above = Some k -> In k (elements t)).
    { intros k E. rewrite E in Ha. destruct (filter (fun a => negb (less_tokens a query)) (elements t)) eqn:F;
        [discriminate|]. cbn in Ha. injection Ha as ->. assert (I : In l (l :: l0)) by (left; auto).
      rewrite <- F in I. apply filter_In in I. tauto. }
    destruct below as [kb|], above as [ka|]; cbn; auto.
    + destruct (Nat.max_dec (common_prefix query kb) (common_prefix query ka)) as [->| ->]; right; eauto.
    + rewrite Nat.max_0_r. right; eauto.
    + right; eauto.
Qed.

(* The closed statements for trees of tokens (ChildIndex: one key a child). *)
Definition less_key (a b : nat) : bool := a <? b.
Lemma less_key_irreflexive a : less_key a a = false.
Proof. apply Nat.ltb_irrefl. Qed.
Lemma less_key_transitive a b c : less_key a b = true -> less_key b c = true -> less_key a c = true.
Proof. unfold less_key. rewrite !Nat.ltb_lt. lia. Qed.
Lemma less_key_total a b : less_key a b = false -> less_key b a = false -> a = b.
Proof. unfold less_key. rewrite !Nat.ltb_ge. lia. Qed.
