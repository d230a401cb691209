(* WavlOrder: insert and erase change the sorted sequence of keys exactly as they should; searching finds what is
   there. *)
From Coq Require Import Arith List Lia Bool Sorted.
From Tattletale Require Import WavlTree.
Import ListNotations.

Section Wavl.
Variable A : Type.
Variable less : A -> A -> bool.
Implicit Types t : tree A.

Ltac split_ifs :=
  repeat match goal with
  | |- context [if ?c then _ else _] => let E := fresh "E" in destruct c eqn:E
  | |- context [match ?t with Empty => _ | Node _ _ _ _ => _ end] =>
      is_var t; let r := fresh "r" in let l := fresh "l" in let p := fresh "k" in let v := fresh "v" in
      destruct t as [|r l p v]
  end.

(* Rebalancing changes no order. *)
Ltac same_elements :=
  intros; unfold rebalance_left, rebalance_right, sink_left, sink_right; split_ifs; cbn;
  repeat (rewrite <- ?app_assoc; cbn); reflexivity.

Lemma rebalance_left_elements r (l : tree A) p v :
  elements (fst (rebalance_left r l p v)) = elements l ++ p :: elements v.
Proof. same_elements. Qed.
Lemma rebalance_right_elements r (l : tree A) p v :
  elements (fst (rebalance_right r l p v)) = elements l ++ p :: elements v.
Proof. same_elements. Qed.
Lemma sink_left_elements r (l : tree A) p v :
  elements (fst (sink_left r l p v)) = elements l ++ p :: elements v.
Proof. same_elements. Qed.
Lemma sink_right_elements r (l : tree A) p v :
  elements (fst (sink_right r l p v)) = elements l ++ p :: elements v.
Proof. same_elements. Qed.

(* ---- order *)
Definition lt (a b : A) : Prop := less a b = true.
Definition ordered (t : tree A) : Prop := StronglySorted lt (elements t).

Section Order.
Hypothesis less_irreflexive : forall a, less a a = false.
Hypothesis less_transitive : forall a b c, less a b = true -> less b c = true -> less a c = true.
Hypothesis less_total : forall a b, less a b = false -> less b a = false -> a = b.

Fixpoint insert_list (x : A) (l : list A) : list A :=
  match l with [] => [x] | p :: rest => if less x p then x :: l else p :: insert_list x rest end.
Definition same (a b : A) : bool := negb (less a b) && negb (less b a).
Definition erase_list (x : A) (l : list A) : list A := filter (fun p => negb (same x p)) l.

Lemma sorted_app l p v : StronglySorted lt (l ++ p :: v) <->
  StronglySorted lt l /\ StronglySorted lt v /\ Forall (fun a => lt a p) l /\ Forall (lt p) v /\
  Forall (fun a => Forall (lt a) v) l.
Proof.
  induction l as [|a l IH]; cbn.
  - split.
    + intros H. inversion H; subst. repeat split; auto; constructor.
    + intros (_ & H1 & _ & H2 & _). constructor; auto.
  - split.
    + intros H. inversion H as [|? ? Hs Hf]; subst. apply IH in Hs. destruct Hs as (S1 & S2 & F1 & F2 & F3).
      apply Forall_app in Hf. destruct Hf as (Hf1 & Hf2). inversion Hf2; subst.
      repeat split; auto; constructor; auto.
    + intros (S1 & S2 & F1 & F2 & F3). inversion S1; inversion F1; inversion F3; subst. constructor.
      * apply IH. auto.
      * apply Forall_app; split; auto.
Qed.

Lemma insert_list_left x l p v : less x p = true -> insert_list x (l ++ p :: v) = insert_list x l ++ p :: v.
Proof.
  intros H. induction l as [|a l IH]; cbn; [rewrite H; reflexivity|].
  destruct (less x a); [reflexivity|]. rewrite IH. reflexivity.
Qed.
Lemma insert_list_right x l p v : Forall (fun a => lt a p) l -> less x p = false ->
  insert_list x (l ++ p :: v) = l ++ p :: insert_list x v.
Proof.
  intros F H. induction l as [|a l IH]; cbn; [rewrite H; reflexivity|]. inversion F; subst.
  destruct (less x a) eqn:E; [|rewrite IH; auto]. unfold lt in *.
  rewrite (less_transitive x a p) in H; auto. discriminate.
Qed.

Theorem insert_elements x t : ordered t -> elements (fst (insert less x t)) = insert_list x (elements t).
Proof.
  unfold ordered. induction t as [|r l IHl p v IHv]; intros S; [reflexivity|]. cbn [insert elements] in *.
  apply sorted_app in S. destruct S as (S1 & S2 & F1 & F2 & F3). destruct (less x p) eqn:E.
  - destruct (insert less x l) as [l' n]. pose proof (rebalance_left_elements r l' p v).
    destruct (rebalance_left r l' p v) as [t' m]. cbn in *. rewrite H, IHl by auto.
    rewrite insert_list_left; auto.
  - destruct (insert less x v) as [v' n]. pose proof (rebalance_right_elements r l p v').
    destruct (rebalance_right r l p v') as [t' m]. cbn in *. rewrite H, IHv by auto.
    rewrite insert_list_right; auto.
Qed.

Lemma in_insert_list x y l : In y (insert_list x l) <-> y = x \/ In y l.
Proof.
  induction l as [|a l IH]; cbn; [intuition|]. destruct (less x a); cbn; [intuition|]. rewrite IH. intuition.
Qed.
Lemma insert_list_sorted x l : StronglySorted lt l -> ~ In x l -> StronglySorted lt (insert_list x l).
Proof.
  induction l as [|a l IH]; intros S N; cbn; [repeat constructor|]. inversion S as [|? ? S' F]; subst.
  destruct (less x a) eqn:E.
  - constructor; auto. constructor; auto. eapply Forall_impl; [|exact F]. unfold lt. eauto.
  - cbn in N. constructor; [apply IH; intuition|]. apply Forall_forall. intros y Hy. apply in_insert_list in Hy.
    destruct Hy as [->|Hy]; [|eapply Forall_forall in F; eauto]. unfold lt.
    destruct (less a x) eqn:E2; [reflexivity|]. exfalso. apply N. left. apply less_total; auto.
Qed.
Theorem insert_ordered x t : ordered t -> ~ In x (elements t) -> ordered (fst (insert less x t)).
Proof. intros O N. unfold ordered. rewrite insert_elements; auto. apply insert_list_sorted; auto. Qed.

Lemma erase_first_elements r (l : tree A) p v t' x n :
  erase_first r l p v = (t', x, n) -> elements (Node r l p v) = x :: elements t'.
Proof.
  revert r p v t' x n. induction l as [|rl ll IHll pl vl _]; intros r p v t' x n E; cbn [erase_first] in E.
  - injection E as <- <- <-. reflexivity.
  - destruct (erase_first rl ll pl vl) as [[l' y] k] eqn:El. specialize (IHll _ _ _ _ _ _ El).
    pose proof (sink_left_elements r l' p v) as H. destruct (sink_left r l' p v) as [t'' m].
    injection E as <- <- <-. cbn [fst] in H. rewrite H. cbn [elements] in *. rewrite IHll. reflexivity.
Qed.

Lemma erase_list_none x l : Forall (fun a => same x a = false) l -> erase_list x l = l.
Proof. induction 1; cbn; auto. rewrite H. cbn. f_equal. auto. Qed.
Lemma erase_list_app x l v : erase_list x (l ++ v) = erase_list x l ++ erase_list x v.
Proof. apply filter_app. Qed.
Lemma same_after x l : Forall (lt x) l -> Forall (fun a => same x a = false) l.
Proof. intros F. eapply Forall_impl; [|exact F]. unfold lt, same. intros a ->. reflexivity. Qed.
Lemma same_before x l : Forall (fun a => lt a x) l -> Forall (fun a => same x a = false) l.
Proof. intros F. eapply Forall_impl; [|exact F]. unfold lt, same. intros a ->. cbn. apply andb_false_r. Qed.

Theorem erase_elements x t : ordered t -> elements (fst (erase less x t)) = erase_list x (elements t).
Proof.
  unfold ordered. induction t as [|r l IHl p v IHv]; intros S; [reflexivity|]. cbn [erase elements] in *.
  apply sorted_app in S. destruct S as (S1 & S2 & F1 & F2 & F3).
  rewrite erase_list_app. cbn [erase_list filter].
  destruct (less x p) eqn:E; [|destruct (less p x) eqn:E2].
  - assert (same x p = false) as -> by (unfold same; rewrite E; reflexivity). cbn [negb].
    fold (erase_list x (elements v)). rewrite (erase_list_none x (elements v)).
    + destruct (erase less x l) as [l' n]. pose proof (sink_left_elements r l' p v) as H.
      destruct (sink_left r l' p v) as [t' m]. cbn [fst] in *. rewrite H, IHl; auto.
    + apply same_after. eapply Forall_impl; [|exact F2]. unfold lt. eauto.
  - assert (same x p = false) as -> by (unfold same; rewrite E, E2; reflexivity). cbn [negb].
    fold (erase_list x (elements v)). rewrite (erase_list_none x (elements l)).
    + destruct (erase less x v) as [v' n]. pose proof (sink_right_elements r l p v') as H.
      destruct (sink_right r l p v') as [t' m]. cbn [fst] in *. rewrite H, IHv; auto.
    + apply same_before. eapply Forall_impl; [|exact F1]. unfold lt. eauto.
  - assert (same x p = true) as -> by (unfold same; rewrite E, E2; reflexivity). cbn [negb].
    assert (x = p) as -> by (apply less_total; auto).
    fold (erase_list p (elements v)). rewrite !erase_list_none; [|apply same_after; auto|apply same_before; auto].
    destruct l as [|rl ll pl vl]; [reflexivity|]. destruct v as [|rv lv pv vv]; [symmetry; apply app_nil_r|].
    destruct (erase_first rv lv pv vv) as [[v' next] k] eqn:Ef. apply erase_first_elements in Ef.
    pose proof (sink_right_elements r (Node rl ll pl vl) next v') as H.
    destruct (sink_right r (Node rl ll pl vl) next v') as [t' m]. cbn [fst] in *. rewrite H, Ef. reflexivity.
Qed.

Theorem erase_ordered x t : ordered t -> ordered (fst (erase less x t)).
Proof.
  intros O. unfold ordered. rewrite erase_elements; auto. unfold ordered, erase_list in *.
  induction O as [|a l S IH F]; cbn; [constructor|]. destruct (negb (same x a)); auto. constructor; auto.
  apply Forall_forall. intros y Hy. apply filter_In in Hy. eapply Forall_forall in F; [exact F|tauto].
Qed.

(* ---- search *)
Theorem find_spec x t : ordered t ->
  (fst (find less x t) = Some x /\ In x (elements t)) \/ (fst (find less x t) = None /\ ~ In x (elements t)).
Proof.
  unfold ordered. induction t as [|r l IHl p v IHv]; intros S; [right; cbn; auto|]. cbn [find elements] in *.
  apply sorted_app in S. destruct S as (S1 & S2 & F1 & F2 & F3). specialize (IHl S1). specialize (IHv S2).
  rewrite Forall_forall in F1, F2. unfold lt in *. rewrite in_app_iff. cbn.
  destruct (less x p) eqn:E; [|destruct (less p x) eqn:E2].
  - destruct (find less x l) as [o n]. cbn in *. destruct IHl as [(-> & I)|(-> & I)]; [left; auto|right; split; auto].
    intros [H|[->|H]]; [auto|rewrite less_irreflexive in E; discriminate|].
    apply F2 in H. pose proof (less_transitive x p x E H) as L. rewrite less_irreflexive in L. discriminate.
  - destruct (find less x v) as [o n]. cbn in *. destruct IHv as [(-> & I)|(-> & I)]; [left; auto|right; split; auto].
    intros [H|[->|H]]; [|rewrite less_irreflexive in E2; discriminate|auto].
    apply F1 in H. congruence.
  - left. cbn. assert (x = p) as -> by (apply less_total; auto). auto.
Qed.

Theorem find_cost x t : snd (find less x t) <= height t.
Proof.
  induction t as [|r l IHl p v IHv]; cbn; auto. destruct (less x p); [destruct (find less x l); cbn in *; lia|].
  destruct (less p x); [destruct (find less x v); cbn in *; lia|cbn; lia].
Qed.
Theorem neighbours_cost x t b a : snd (neighbours less x t b a) <= height t.
Proof.
  revert b a. induction t as [|r l IHl p v IHv]; intros; cbn; auto.
  destruct (less p x).
  - specialize (IHv (Some p) a). destruct (neighbours less x v (Some p) a) as [[? ?] ?]; cbn in *; lia.
  - specialize (IHl b (Some p)). destruct (neighbours less x l b (Some p)) as [[? ?] ?]; cbn in *; lia.
Qed.
End Order.
End Wavl.
